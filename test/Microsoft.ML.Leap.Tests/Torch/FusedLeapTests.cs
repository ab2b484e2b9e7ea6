using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The fused attention against the same equations as tensor operations, which other tests hold against naive loops.</summary>
[TestClass]
public class FusedLeapTests
{
    private const double Rescale = 8;

    // Head size, heads, length.
    public static IEnumerable<object[]> Sizes() =>
        from e in new[] { 2, 3, 5, 8, 20, 30, 32, 33, 60, 64 }
        from n in new[] { 1, 2, 63, 64, 65, 130 }
        select new object[] { e, e % 2 == 0 ? 3 : 1, n };

    public static IEnumerable<object[]> Windows() =>
        from w in new[] { 1, 2, 3, 4, 7, 8, 16, 63, 64, 65, 129, 130, 135 }
        from e in new[] { 5, 8 }
        select new object[] { w, e };

    [TestMethod]
    [DynamicData(nameof(Sizes))]
    public void Attend_AnySize_EqualsReferenceForwardAndBackward(int headSize, int headCount, int length)
    {
        foreach (int window in new[] { 4, length })
            AssertEqualsReference(new Layer(2, length, headCount, headSize, window));
    }

    [TestMethod]
    [DynamicData(nameof(Windows))]
    public void Attend_AnyWindow_EqualsReferenceForwardAndBackward(int window, int headSize) =>
        AssertEqualsReference(new Layer(2, 130, 2, headSize, window));

    [TestMethod]
    [DynamicData(nameof(Windows))]
    public void Attend_SameDropoutMasks_EqualsReferenceForwardAndBackward(int window, int headSize) =>
        AssertEqualsReference(new Layer(2, 130, 3, headSize, window, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7)));

    [TestMethod]
    [DynamicData(nameof(Sizes))]
    public void Attend_ForgetGates_EqualsReferenceForwardAndBackward(int headSize, int headCount, int length) =>
        AssertEqualsReference(new Layer(2, length, headCount, headSize, length, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7)) { HasForgetGates = true });

    [TestMethod]
    [DynamicData(nameof(Sizes))]
    public void Attend_SmallerFocus_EqualsReferenceForwardAndBackward(int headSize, int headCount, int length)
    {
        foreach (int focusSize in new[] { 3, 8, 20 }.Where(size => size < headSize))
        {
            AssertEqualsReference(
                new Layer(2, length, headCount, headSize, length, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7)) { HasForgetGates = true, FocusSize = focusSize });
            AssertEqualsReference(new Layer(2, length, headCount, headSize, 4) { FocusSize = focusSize });
        }
    }

    [TestMethod]
    public void Attend_ForgetGatesOverSeveralChunks_EqualsReferenceForwardAndBackward() =>
        AssertEqualsReference(new Layer(1, 600, 2, 5, 600) { HasForgetGates = true });

    [TestMethod]
    [DataRow(3)]
    [DataRow(8)]
    [DataRow(20)]
    [DataRow(32)]
    [DataRow(33)]
    [DataRow(64)]
    [DataRow(32, 8)]
    [DataRow(48, 8)]
    [DataRow(32, 5)]
    public void Attend_BFloat16_EqualsSinglePrecisionToTheBit(int headSize, int? focusSize = null)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (int window in new[] { 4, 130 })
        {
            var layer = new Layer(2, 130, 2, headSize, window, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7))
            {
                HasForgetGates = window == 130,
                FocusSize = focusSize ?? headSize,
            };
            Tensor projections = layer.Projections().to(ScalarType.BFloat16);

            (Tensor expected, Tensor expectedGradient) = layer.Fused(projections.to(ScalarType.Float32));
            (Tensor actual, Tensor gradient) = layer.Fused(projections);

            Assert.IsTrue(actual.Equals(expected));
            Assert.IsTrue(gradient.Equals(expectedGradient.to(ScalarType.BFloat16)));
        }
    }

    [TestMethod]
    [DataRow(4)]
    [DataRow(300)]
    public void Attend_ConstantFactors_EqualsReferenceForwardAndBackward(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(1, 20, 2, 6, window);
        Tensor projections = layer.Projections();

        // Deviations of 0: gradients pass the norm's epsilon alone.
        projections.narrow(2, 12, 12).fill_(0.25);
        AssertEqualsReference(layer, projections);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(4)]
    [DataRow(65)]
    [DataRow(130)]
    public void Attend_PeakedFocus_EqualsDoublePrecision(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(1, 130, 2, 8, window) { RescaleValue = 30 };
        (Tensor actual, Tensor gradient) = layer.Fused(layer.Projections());
        (Tensor exact, Tensor exactGradient) = layer.Reference(layer.Projections().to(ScalarType.Float64));

        AssertClose(exact, actual, 1e-5);
        AssertClose(exactGradient, gradient, 1e-4);
    }

    [TestMethod]
    [DataRow(4)]
    [DataRow(65)]
    [DataRow(130)]
    public void Attend_ChangedFuture_LeavesThePastBitEqual(int window)
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(2, 130, 2, 5, window);
        Tensor x = layer.Projections();
        Tensor y = x.clone();
        y.narrow(1, 70, 60).mul_(-1e3);

        Tensor difference = FusedLeap.Attend(x, layer.Shape) != FusedLeap.Attend(y, layer.Shape);
        Assert.AreEqual(0, difference.narrow(1, 0, 70).sum().item<long>());
        Assert.AreNotEqual(0, difference.narrow(1, 70, 60).sum().item<long>());
    }

    [TestMethod]
    public void Attend_OneThreadOrMany_IsBitEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(3, 130, 4, 8, 16, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7));
        (Tensor many, Tensor manyGradient) = layer.Fused(layer.Projections());
        using var threads = new ThreadCount(1);
        (Tensor one, Tensor oneGradient) = layer.Fused(layer.Projections());

        Assert.AreEqual(0, many.ne(one).sum().item<long>());
        Assert.AreEqual(0, manyGradient.ne(oneGradient).sum().item<long>());
    }

    [TestMethod]
    public void Attend_WithoutGradients_EqualsThatWithThem()
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(2, 130, 2, 5, 16, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7));
        (Tensor expected, _) = layer.Fused(layer.Projections());
        using var noGradients = no_grad();
        Tensor actual = FusedLeap.Attend(layer.Projections(), layer.Shape);

        Assert.IsFalse(actual.requires_grad);
        Assert.AreEqual(0, actual.ne(expected).sum().item<long>());
    }

    [TestMethod]
    public void Attend_ViewsAndStridedTensors_EqualsTheirCopies()
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(2, 70, 2, 4, 16);
        Tensor expanded = ones(1, 1, 8).expand(2, 70, 8);
        Tensor strided = layer.Projections().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_(true);
        Tensor shifted = cat([zeros(1, 70, 32), layer.Projections()], 0).narrow(0, 1, 2).requires_grad_(true);
        Tensor copied = layer.Projections().requires_grad_(true);

        foreach (Tensor x in new[] { strided, shifted, copied })
            FusedLeap.Attend(x, layer.Shape).backward([expanded]);
        AssertClose(copied.grad!, strided.grad!, 0);
        AssertClose(copied.grad!, shifted.grad!, 0);
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Attend_NotANumber_SpreadsToTheWindowsThatSeeIt(float value)
    {
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(1, 20, 1, 4, 5);
        Tensor x = layer.Projections();
        x[0, 9].fill_(value);
        (Tensor output, Tensor gradient) = layer.Fused(x);

        bool[] isNumber = output.isfinite().all(2).flatten().data<bool>().ToArray();
        CollectionAssert.AreEqual(Enumerable.Range(0, 20).Select(i => i is < 9 or > 13).ToArray(), isNumber);
        Assert.IsTrue(gradient.isnan().any().item<bool>());
    }

    [TestMethod]
    [DataRow(7)]
    [DataRow(200)]
    public void Attend_ForwardAndBackward_LeavesNoTensorBehind(int window)
    {
        using var state = new TorchState();
        using DisposeScope scope = NewDisposeScope();
        var layer = new Layer(2, 130, 2, 5, window, new NoiseMask(5, 6, 0.8), new NoiseMask(-7, 8, 0.7));
        layer.Fused(layer.Projections());
        using var noGradients = no_grad();
        _ = FusedLeap.Attend(layer.Projections(), layer.Shape);
    }

    private static void AssertEqualsReference(Layer layer)
    {
        using DisposeScope scope = NewDisposeScope();
        AssertEqualsReference(layer, layer.Projections());
    }

    private static void AssertEqualsReference(Layer layer, Tensor projections)
    {
        (Tensor actual, Tensor actualGradient) = layer.Fused(projections);
        (Tensor plain, _) = layer.Reference(projections);
        (Tensor exact, Tensor exactGradient) = layer.Reference(projections.to(ScalarType.Float64));

        AssertClose(plain, actual, 1e-5);
        AssertClose(exact, actual, 1e-5);

        // The norm of two values has hardly a gradient: a difference of nearly equal numbers.
        AssertClose(exactGradient, actualGradient, layer.FocusSize == 2 ? 1e-4 : 1e-5);
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        CollectionAssert.AreEqual(expected.shape, actual.shape);
        double largest = expected.abs().max().to(ScalarType.Float64).item<double>();
        Assert.AreEqual(0, (expected - actual).abs().max().to(ScalarType.Float64).item<double>(), tolerance * largest);
    }

    private static Tensor Values(long[] shape, int seed)
    {
        var random = new Random(seed);
        float[] values = [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => 4 * random.NextSingle() - 2)];
        return tensor(values, shape);
    }

    private sealed record Layer(
        int BatchSize, int Length, int HeadCount, int HeadSize, int Window, NoiseMask? FocusMask = null, NoiseMask? MeanMask = null)
    {
        public double RescaleValue { get; init; } = Rescale;

        public bool HasForgetGates { get; init; }

        public int FocusSize { get; init; } = HeadSize;

        public LeapShape Shape => new(
            BatchSize, Length, HeadCount, HeadSize, FocusSize, Window, RescaleValue, FocusMask, MeanMask, ForgetOffsets: ForgetOffsets);

        private float[]? ForgetOffsets => HasForgetGates ? [.. Enumerable.Range(0, HeadCount).Select(head => 2f * head)] : null;

        public Tensor Projections() => Values([BatchSize, Length, Shape.ProjectionsSize], 1);

        public Tensor Upstream() => Values([BatchSize, Length, HeadCount * HeadSize], 2);

        public (Tensor Output, Tensor Gradient) Fused(Tensor projections)
        {
            Tensor x = projections.clone().requires_grad_(true);
            Tensor output = FusedLeap.Attend(x, Shape);
            output.backward([Upstream()]);
            return (output.detach(), x.grad!);
        }

        public (Tensor Output, Tensor Gradient) Reference(Tensor projections)
        {
            using var noise = new DropoutNoise(1);
            using var attention = new MultiheadLeap(HeadCount, FocusSize, Window, RescaleValue, new Dropout(0, noise), ForgetOffsets);
            Tensor x = projections.clone().requires_grad_(true);
            Tensor output = attention.Reference(x, FocusMask, MeanMask);
            output.backward([Upstream().to(projections.dtype)]);
            return (output.detach(), x.grad!);
        }
    }
}
