using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Sums over the last <c>window</c> rows of a sequence that comes in pieces, by tensor operations and without a subtraction: the plain
/// form of <see cref="SlidingSums{TSize}"/>.</summary>
/// <remarks>A global window's sum is carried in double precision; of any other window the rows themselves are kept, as many as the next one
/// sees, zeros before the first.</remarks>
internal sealed class CarriedTensorSums : IDisposable
{
    private readonly int _window;
    private Tensor _kept;

    /// <param name="window">Rows of the window; 0 for all that came before.</param>
    /// <param name="rowShape">Shape of a row.</param>
    /// <param name="device">Where the rows are.</param>
    public CarriedTensorSums(int window, long[] rowShape, Device device)
    {
        _window = window;
        _kept = (IsGlobal ? zeros(rowShape, ScalarType.Float64, device) : zeros([window - 1, .. rowShape], ScalarType.Float32, device))
            .DetachFromDisposeScope();
    }

    public long SizeInBytes => _kept.numel() * _kept.ElementSize;

    private bool IsGlobal => _window == 0;

    /// <summary>Adds the next rows, [N, ...], and returns each one's window's sum, of the same shape.</summary>
    public Tensor Add(Tensor rows)
    {
        using DisposeScope scope = NewDisposeScope();
        if (IsGlobal)
        {
            Tensor sums = rows.to(ScalarType.Float64).cumsum(0) + _kept;
            Keep(sums[-1]);
            return sums.to(ScalarType.Float32).MoveToOuterDisposeScope();
        }

        Tensor seen = cat([_kept, rows]);
        Tensor windows = WindowedSum.Of(seen.unsqueeze(0), _window).squeeze(0);
        Keep(seen.narrow(0, rows.shape[0], _window - 1));
        return windows.narrow(0, _window - 1, rows.shape[0]).MoveToOuterDisposeScope();
    }

    public void Reset() => _kept.zero_();

    public void CopyFrom(CarriedTensorSums other) => _kept.copy_(other._kept);

    public void Write(BinaryWriter writer)
    {
        using Tensor values = _kept.cpu();
        writer.Write(values.bytes);
    }

    public void Read(BinaryReader reader)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = empty(_kept.shape, _kept.dtype, CPU);
        reader.BaseStream.ReadExactly(values.bytes);
        _kept.copy_(values);
    }

    public void Dispose() => _kept.Dispose();

    // A copy of its own: a view would hold all that it is a part of.
    private void Keep(Tensor values)
    {
        Tensor kept = values.clone().DetachFromDisposeScope();
        _kept.Dispose();
        _kept = kept;
    }
}
