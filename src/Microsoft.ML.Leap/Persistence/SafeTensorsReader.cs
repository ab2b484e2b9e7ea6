using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Reads a safetensors file: the header at once, and the tensors in one pass, in pieces.</summary>
/// <remarks>Beyond its destinations the reader takes a few megabytes, whatever the file's size. The stream need not be
/// seekable. Not thread-safe.</remarks>
internal sealed class SafeTensorsReader
{
    private const int ChunkBytes = 1 << 22;

    private readonly Stream _stream;
    private readonly string _source;
    private bool _isRead;

    /// <summary>Reads and checks the header.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="length">The file's length in bytes.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="FormatException">The header is malformed, or does not describe a file of this length.</exception>
    public SafeTensorsReader(Stream stream, long length, string source)
    {
        _stream = stream;
        _source = source;
        Tensors = SafeTensorsHeader.Read(stream, length, source);
    }

    /// <summary>Gets what the file holds, in the order of the data.</summary>
    public IReadOnlyList<SafeTensorInfo> Tensors { get; }

    /// <summary>Reads every tensor, once, into the destination that <paramref name="destinationOf"/> names for it.</summary>
    /// <param name="destinationOf">Gives a contiguous tensor of the same shape on any device: of the type in the file, or, for a
    /// floating-point one, of any floating-point type, to which the values are converted.</param>
    /// <param name="requireFinite">Whether NaN and infinity are refused.</param>
    /// <exception cref="FormatException">The file is truncated, or holds a refused value.</exception>
    /// <exception cref="InvalidOperationException">The tensors were read already.</exception>
    public void ReadTensors(Func<SafeTensorInfo, Tensor> destinationOf, bool requireFinite = false)
    {
        if (_isRead)
            throw new InvalidOperationException("The tensors of a stream can be read only once.");
        _isRead = true;
        using IDisposable noGrad = no_grad();
        foreach (SafeTensorInfo info in Tensors)
            ReadTensor(info, destinationOf(info), requireFinite);
    }

    private void ReadTensor(SafeTensorInfo info, Tensor destination, bool requireFinite)
    {
        RequireFits(info, destination);
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = destination.detach().view(-1);
        bool isDirect = destination.device_type == DeviceType.CPU && destination.dtype == info.Type;
        long step = ChunkBytes / SafeTensorsType.SizeOf(info.Type);
        Tensor? staging = isDirect ? null : empty([Math.Min(step, info.Count)], dtype: info.Type);
        for (long start = 0; start < info.Count; start += step)
        {
            long count = Math.Min(step, info.Count - start);
            using Tensor part = flat.narrow(0, start, count);
            using Tensor raw = (staging ?? part).narrow(0, 0, count);
            BoundedStream.ReadExactly(_stream, raw.bytes, _source);
            if (staging is not null)
                part.copy_(raw);

            // After the conversion: a double can be finite and too large for its destination.
            if (requireFinite && SafeTensorsType.IsFloat(info.Type))
                RequireFinite(info, part);
        }
    }

    private void RequireFinite(SafeTensorInfo info, Tensor values)
    {
        using Tensor finite = values.isfinite();
        using Tensor all = finite.all();
        if (!all.item<bool>())
            throw new FormatException($"{_source}: tensor '{info.Name}' holds values that are not finite.");
    }

    private static void RequireFits(SafeTensorInfo info, Tensor destination)
    {
        if (!destination.shape.AsSpan().SequenceEqual(info.Shape) || !destination.is_contiguous())
        {
            throw new ArgumentException(
                $"The destination of tensor '{info.Name}' must be contiguous and of shape [{string.Join(", ", info.Shape)}], " +
                $"but has shape [{string.Join(", ", destination.shape)}].");
        }

        bool isConvertible = SafeTensorsType.IsFloat(info.Type) && SafeTensorsType.IsFloat(destination.dtype);
        if (destination.dtype != info.Type && !isConvertible)
        {
            throw new ArgumentException(
                $"The destination of tensor '{info.Name}' must be of {SafeTensorsType.NameOf(info.Type)}, but is of {destination.dtype}.");
        }
    }
}
