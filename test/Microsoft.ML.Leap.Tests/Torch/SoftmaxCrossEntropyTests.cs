using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public unsafe class SoftmaxCrossEntropyTests
{
    private const int Rows = 21;

    // Whole vectors of either width, and rests of each.
    [TestMethod]
    [DataRow(32)]
    [DataRow(45)]
    [DataRow(5)]
    public void Kernel_Of256Bits_EqualsTensorOperations(int size)
    {
        AssertEqualsPlain<SimdVector256>(size, ScalarType.Float32, 1e-5);
        AssertEqualsPlain<SimdVector256>(size, ScalarType.BFloat16, 1e-2);
    }

    [TestMethod]
    [DataRow(32)]
    [DataRow(45)]
    [DataRow(5)]
    public void Kernel_Of512Bits_EqualsTensorOperations(int size)
    {
        WideVectors.Require();
        AssertEqualsPlain<SimdVector512>(size, ScalarType.Float32, 1e-5);
        AssertEqualsPlain<SimdVector512>(size, ScalarType.BFloat16, 1e-2);
    }

    // Relative to the target's logit the sum would be infinite.
    [TestMethod]
    public void OnCpu_TargetFarBelowTheRest_IsExact()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = Logits(40, ScalarType.Float32);
        logits[3, 7] = -200;
        Tensor targets = full([Rows], 7, ScalarType.Int64);
        Tensor plain = logits.clone();
        Tensor bias = zeros(40);
        double expected = SoftmaxCrossEntropy.Reference(plain, bias, targets, 1, zeros(40)).item<double>();

        double actual = SoftmaxCrossEntropy.OnCpu(logits, bias, targets, 1, zeros(40)).item<double>();

        Assert.IsGreaterThan(200, expected);
        Assert.AreEqual(expected, actual, 1e-5 * expected);
        Assert.AreEqual(0, (plain - logits).abs().max().item<float>(), 1e-6);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void RowLosses_AnyPrecision_SumUpToTheLoss(bool isSingle)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType type = isSingle ? ScalarType.Float32 : ScalarType.Float64;
        Tensor logits = Logits(45, type);
        Tensor bias = Bias(45).to(type);
        Tensor targets = Targets(45);
        double expected = SoftmaxCrossEntropy.Reference(logits, bias, targets, 1, null).item<double>();

        double[] losses = SoftmaxCrossEntropy.RowLosses(logits, bias, targets);

        Assert.HasCount(Rows, losses);
        Assert.AreEqual(expected, losses.Sum(), 1e-6 * expected);
    }

    private static void AssertEqualsPlain<TVector>(int size, ScalarType type, double tolerance)
        where TVector : struct, ISimdVector<TVector>
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor fused = Logits(size, type);
        Tensor plain = fused.clone();
        Tensor bias = Bias(size);
        Tensor targets = Targets(size);
        Tensor expectedBias = zeros(size);
        Tensor actualBias = zeros(size);
        double expected = SoftmaxCrossEntropy.Reference(plain, bias, targets, 0.5, expectedBias).item<double>();

        double actual = SoftmaxCrossEntropy.Kernel<TVector>(fused, bias, targets).LossAndGradients(0.5f, RawMemory.Singles(actualBias));

        Assert.AreEqual(expected, actual, 1e-6 * expected);
        Assert.AreEqual(0, (expectedBias - actualBias).abs().max().item<float>(), 1e-5);
        Assert.AreEqual(0, (plain - fused).abs().max().to(ScalarType.Float32).item<float>(), tolerance);
    }

    private static Tensor Logits(int size, ScalarType type)
    {
        var random = new Random(5);
        float[] values = [.. Enumerable.Range(0, Rows * size).Select(_ => 12 * random.NextSingle() - 6)];
        return tensor(values, [Rows, size]).to(type);
    }

    private static Tensor Bias(int size) => arange(size, ScalarType.Float32) * 0.05;

    private static Tensor Targets(int size) => tensor([.. Enumerable.Range(0, Rows).Select(row => row * 7L % size)]);
}
