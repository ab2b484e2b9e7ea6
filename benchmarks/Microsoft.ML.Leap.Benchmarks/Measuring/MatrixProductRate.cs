using System.Diagnostics;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>How fast this machine multiplies matrices of one shape and type: [rows, inner] by [inner, columns].</summary>
internal sealed class MatrixProductRate : IDisposable
{
    private readonly Tensor _left;
    private readonly Tensor _right;
    private readonly Tensor _product;

    public MatrixProductRate(ScalarType type, long rows, long inner, long columns)
    {
        _left = ones([rows, inner], type, CPU);
        _right = ones([inner, columns], type, CPU);
        _product = zeros([rows, columns], type, CPU);
        Operations = 2.0 * rows * inner * columns;
    }

    /// <summary>Gets the additions and multiplications of one product.</summary>
    public double Operations { get; }

    /// <summary>Multiplies until the time is over, at least once.</summary>
    /// <returns>The rate in GFLOP/s, a fused multiply-add counting as two operations.</returns>
    public double Measure(TimeSpan duration)
    {
        using var noGradients = no_grad();
        long count = 0;
        long start = Stopwatch.GetTimestamp();
        TimeSpan elapsed;
        do
        {
            _product.addmm_(_left, _right, 0, 1);
            count++;
            elapsed = Stopwatch.GetElapsedTime(start);
        }
        while (elapsed < duration);
        return Operations * count / elapsed.TotalSeconds / 1e9;
    }

    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
        _product.Dispose();
    }
}
