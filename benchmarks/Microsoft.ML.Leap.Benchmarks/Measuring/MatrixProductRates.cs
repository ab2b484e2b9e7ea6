using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>This machine's rates of matrix products in both precisions: of large matrices, and of the output layer's shape. The better of
/// the two is the limit.</summary>
internal sealed class MatrixProductRates : IDisposable
{
    private static readonly TimeSpan Burst = TimeSpan.FromMilliseconds(150);

    private readonly MatrixProductRate[] _single;
    private readonly MatrixProductRate[] _half;

    public MatrixProductRates(LeapConfig config)
    {
        _single = Shapes(ScalarType.Float32, config);
        _half = Shapes(ScalarType.BFloat16, config);
    }

    /// <summary>Measures each for a moment.</summary>
    public MatrixRate Measure() => new(_single.Max(rate => rate.Measure(Burst)), _half.Max(rate => rate.Measure(Burst)));

    public void Dispose()
    {
        foreach (MatrixProductRate rate in (MatrixProductRate[])[.. _single, .. _half])
            rate.Dispose();
    }

    private static MatrixProductRate[] Shapes(ScalarType type, LeapConfig config) =>
        [new(type, 2048, 1024, 1024), new(type, 512, config.HiddenSize, config.VocabularySize)];
}
