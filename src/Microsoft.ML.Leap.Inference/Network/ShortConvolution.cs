using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>A depthwise causal convolution: each value becomes a weighted sum of its own channel over the last few tokens.</summary>
/// <remarks>
/// <code>
/// y_t = sum over k = 0 .. size - 1 of w_k * n_(t-k)         value by value
/// </code>
/// Tokens before the start of the sequence count as 0.
/// </remarks>
internal sealed unsafe class ShortConvolution
{
    // Pinned: it lies where it lies for as long as this object lives.
    private readonly float[] _weight;
    private readonly int _size;
    private readonly int _hiddenSize;
    private readonly int _index;

    /// <param name="weight">[size, d]; row k is for the token k places back.</param>
    /// <param name="size">Tokens that it sees.</param>
    /// <param name="index">Which of the network's convolutions it is: twice the layer, and one more before the feed-forward part.</param>
    public ShortConvolution(float[] weight, int size, int index)
    {
        _weight = GC.AllocateUninitializedArray<float>(weight.Length, pinned: true);
        weight.CopyTo(_weight, 0);
        _size = size;
        _hiddenSize = weight.Length / size;
        _index = index;
    }

    public float[] CopyWeight() => [.. _weight];

    /// <summary>Convolves rows of a chunk: reads what a norm made of them and of those before them, and writes where attention's output
    /// lies.</summary>
    public void Run(Scratch scratch, int row, int count)
    {
        float** taps = stackalloc float*[_size];
        float* weight = (float*)Unsafe.AsPointer(ref _weight[0]);
        for (int i = row; i < row + count; i++)
        {
            int tapCount = FindTaps(scratch, i, taps);
            float* y = scratch.GetAttended(i);
            if (Vector512.IsHardwareAccelerated)
                Convolve<SimdVector512>(taps, tapCount, weight, y, _hiddenSize);
            else if (Vector256.IsHardwareAccelerated)
                Convolve<SimdVector256>(taps, tapCount, weight, y, _hiddenSize);
            else
                Convolve<SimdVector128>(taps, tapCount, weight, y, _hiddenSize);
        }

        GC.KeepAlive(scratch);
        GC.KeepAlive(this);
    }

    /// <summary>Takes each sequence's last rows along in its state, once all rows of the chunk are convolved.</summary>
    public void Remember(Scratch scratch)
    {
        int kept = _size - 1;
        long rowBytes = (long)_hiddenSize * sizeof(float);
        foreach (Part part in scratch.Parts)
        {
            if (part.State is null)
                continue;
            float* rows = part.State.GetConvolutionRows(_index);
            int added = Math.Min(kept, part.Count);
            Buffer.MemoryCopy(rows + (long)added * _hiddenSize, rows, kept * rowBytes, (kept - added) * rowBytes);
            Buffer.MemoryCopy(
                scratch.GetNormed(part.Row + part.Count - added), rows + (long)(kept - added) * _hiddenSize, added * rowBytes, added * rowBytes);
            GC.KeepAlive(part.State);
        }
    }

    // The rows of a token and of those before it, the latest first, as far as there are any.
    private int FindTaps(Scratch scratch, int row, float** taps)
    {
        Part part = scratch.GetPart(row);
        int count = Math.Min(_size, row - part.Row + 1);
        for (int k = 0; k < count; k++)
            taps[k] = scratch.GetNormed(row - k);
        if (part.State is null || count == _size)
            return count;

        // The state's rows have the oldest first; where there was no token, a row of zeros.
        float* remembered = part.State.GetConvolutionRows(_index);
        for (int k = count; k < _size; k++)
            taps[k] = remembered + (long)(_size - 1 + row - part.Row - k) * _hiddenSize;
        return _size;
    }

    [MethodImpl(HotLoop.Options)]
    private static void Convolve<TVector>(float** taps, int tapCount, float* weight, float* y, int size)
        where TVector : struct, ISimdVector<TVector>
    {
        int c = 0;
        for (; c <= size - TVector.Count; c += TVector.Count)
        {
            TVector sum = TVector.Load(weight + c) * TVector.Load(taps[0] + c);
            for (int k = 1; k < tapCount; k++)
                sum = TVector.MultiplyAdd(TVector.Load(weight + (long)k * size + c), TVector.Load(taps[k] + c), sum);
            sum.Store(y + c);
        }

        for (; c < size; c++)
        {
            float sum = weight[c] * taps[0][c];
            for (int k = 1; k < tapCount; k++)
                sum += weight[(long)k * size + c] * taps[k][c];
            y[c] = sum;
        }
    }
}
