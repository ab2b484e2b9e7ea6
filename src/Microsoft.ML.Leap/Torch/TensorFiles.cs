using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Safetensors files of torch's tensors.</summary>
internal static class TensorFiles
{
    private const int ChunkBytes = 1 << 22;

    private static readonly Dictionary<SafeTensorsType, ScalarType> _types = new()
    {
        [SafeTensorsType.Boolean] = ScalarType.Bool,
        [SafeTensorsType.UInt8] = ScalarType.Byte,
        [SafeTensorsType.Int8] = ScalarType.Int8,
        [SafeTensorsType.Int16] = ScalarType.Int16,
        [SafeTensorsType.Float16] = ScalarType.Float16,
        [SafeTensorsType.BFloat16] = ScalarType.BFloat16,
        [SafeTensorsType.Int32] = ScalarType.Int32,
        [SafeTensorsType.Float32] = ScalarType.Float32,
        [SafeTensorsType.Int64] = ScalarType.Int64,
        [SafeTensorsType.Float64] = ScalarType.Float64,
    };

    /// <summary>Reads every tensor of a file into new CPU tensors of the file's own types, which the caller disposes.</summary>
    /// <exception cref="FormatException">The file is not a valid safetensors file.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static IReadOnlyDictionary<string, Tensor> Load(string path)
    {
        using FileStream stream = OrdinaryFile.OpenRead(path);
        return Load(stream, stream.Length, Path.GetFileName(path));
    }

    /// <summary>Reads every tensor of a stream into new CPU tensors of the file's own types, which the caller disposes.</summary>
    /// <exception cref="FormatException">The stream is not a valid safetensors file.</exception>
    public static IReadOnlyDictionary<string, Tensor> Load(Stream stream, long length, string source)
    {
        var reader = new SafeTensorsReader(stream, length, source);
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        using DisposeScope scope = NewDisposeScope();
        ReadInto(reader, info => tensors[info.Name] = empty(info.Shape, dtype: _types[info.Type]));
        foreach (Tensor tensor in tensors.Values)
            tensor.MoveToOuterDisposeScope();
        return tensors;
    }

    /// <summary>Reads every tensor, once, into the destination that <paramref name="getDestination"/> names for it.</summary>
    /// <param name="reader">The file.</param>
    /// <param name="getDestination">Gives a contiguous tensor of the same shape on any device: of the type in the file, or, for a
    /// floating-point one, of any floating-point type, to which the values are converted.</param>
    /// <param name="requireFinite">Whether NaN and infinity are refused.</param>
    /// <exception cref="FormatException">The file is truncated, or holds a refused value.</exception>
    /// <exception cref="InvalidOperationException">The tensors were read already.</exception>
    public static void ReadInto(SafeTensorsReader reader, Func<SafeTensorInfo, Tensor> getDestination, bool requireFinite = false)
    {
        using IDisposable noGrad = no_grad();
        Tensor? destination = null;
        var destinations = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        reader.ReadTensors((info, start, bytes) =>
        {
            if (start == 0)
            {
                destination = destinations[info.Name] = getDestination(info);
                RequireFits(info, destination);
            }

            using DisposeScope scope = NewDisposeScope();
            Tensor part = destination!.detach().view(-1).narrow(0, start, bytes.Length / info.Type.GetSize());
            bool isDirect = part.device_type == DeviceType.CPU && part.dtype == _types[info.Type];
            Tensor raw = isDirect ? part : empty(part.shape, dtype: _types[info.Type]);
            bytes.CopyTo(raw.bytes);
            if (!isDirect)
                part.copy_(raw);

            // After the conversion: a double can be finite and too large for its destination.
            if (requireFinite && info.Type.IsFloat() && !part.isfinite().all().item<bool>())
                throw reader.CreateNotFiniteException(info);
        });

        // Tensors without values come in no piece.
        foreach (SafeTensorInfo info in reader.Tensors.Where(info => !destinations.ContainsKey(info.Name)))
            RequireFits(info, getDestination(info));
    }

    /// <summary>Writes tensors on any device, contiguous or not, each once, in pieces.</summary>
    /// <exception cref="ArgumentException">A name is given twice or is the format's own, or a tensor's type is not in the format.</exception>
    public static void Write(Stream stream, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using IDisposable noGrad = no_grad();
        SafeTensorsWriter.Write(stream, tensors.Select(
            pair => new SafeTensor(pair.Key, GetType(pair.Value), pair.Value.shape, target => WriteData(target, pair.Value))));
    }

    private static SafeTensorsType GetType(Tensor tensor)
    {
        foreach ((SafeTensorsType type, ScalarType torchType) in _types)
        {
            if (torchType == tensor.dtype)
                return type;
        }

        throw new ArgumentException(
            $"A safetensors file holds tensors of {SafeTensorsTypes.KnownNames}, but a tensor of {tensor.dtype} was given.", nameof(tensor));
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = tensor.detach().reshape(-1);
        long total = flat.numel();
        long step = ChunkBytes / tensor.element_size();
        for (long start = 0; start < total; start += step)
        {
            using Tensor part = flat.narrow(0, start, Math.Min(step, total - start));
            using Tensor host = part.cpu();
            stream.Write(host.bytes);
        }
    }

    private static void RequireFits(SafeTensorInfo info, Tensor destination)
    {
        if (!destination.shape.AsSpan().SequenceEqual(info.Shape) || !destination.is_contiguous())
        {
            throw new ArgumentException(
                $"The destination of tensor '{info.Name}' must be contiguous and of shape [{string.Join(", ", info.Shape)}], " +
                $"but has shape [{string.Join(", ", destination.shape)}].");
        }

        ScalarType type = _types[info.Type];
        bool isConvertible = info.Type.IsFloat() && destination.is_floating_point();
        if (destination.dtype != type && !isConvertible)
        {
            throw new ArgumentException(
                $"The destination of tensor '{info.Name}' must be of {info.Type.GetName()}, but is of {destination.dtype}.");
        }
    }
}
