using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LinearCrossEntropyTests
{
    private const long Ignored = LinearCrossEntropy.IgnoredTarget;

    // Rows, size, vocabulary, bytes of logits per chunk: chunks of one row, of some with and without a rest, and one for all; vocabularies
    // that are whole vectors and not.
    public static IEnumerable<object[]> Sizes() =>
        from size in new long[][]
        {
            [1, 1, 1, 1], [7, 3, 5, 1], [12, 5, 11, 180], [13, 5, 11, 180], [13, 5, 11, 4000], [33, 16, 101, 3300], [20, 8, 64, 4000], [40, 4, 24, 960],
        }
        from isReference in new[] { false, true }
        select new object[] { size[0], size[1], size[2], size[3], isReference };

    [TestMethod]
    [DynamicData(nameof(Sizes))]
    public void Mean_AnySize_EqualsPlainLossAndGradients(long rows, long size, long vocabulary, long chunkBytes, bool isReference)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] fused = Leaves(rows, size, vocabulary);
        Tensor[] plain = Leaves(rows, size, vocabulary);
        Tensor targets = Targets(rows, vocabulary);
        long count = targets.ne(Ignored).sum().item<long>();

        Tensor actual = LinearCrossEntropy.Mean(fused[0], fused[1], fused[2], targets, count, Form(chunkBytes, isReference));
        Tensor expected = nn.functional.cross_entropy(nn.functional.linear(plain[0], plain[1], plain[2]), targets, ignore_index: Ignored);
        (actual * 3).backward();
        (expected * 3).backward();

        AssertClose(expected, actual);
        for (int i = 0; i < fused.Length; i++)
            AssertClose(plain[i].grad!, fused[i].grad!);
    }

    [TestMethod]
    [DynamicData(nameof(Sizes))]
    public void Mean_AnySize_EqualsNaiveLoop(long rows, long size, long vocabulary, long chunkBytes, bool isReference)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = Leaves(rows, size, vocabulary);
        Tensor targets = Targets(rows, vocabulary);

        Tensor loss = LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], targets, 10, Form(chunkBytes, isReference));
        loss.backward();

        (double expected, double[][] gradients) = Naive(leaves, targets, 10);
        Assert.AreEqual(expected, loss.item<float>(), 1e-6 * expected);
        for (int i = 0; i < leaves.Length; i++)
            AssertClose(tensor(gradients[i], leaves[i].shape).to(ScalarType.Float32), leaves[i].grad!);
    }

    // Factors and products have 8 bits each, so that a single result may be off by a few parts in a thousand.
    [TestMethod]
    [DataRow(33, 16, 101, false)]
    [DataRow(33, 16, 101, true)]
    [DataRow(20, 8, 64, false)]
    public void Mean_BFloat16_IsCloseToNaiveLoop(long rows, long size, long vocabulary, bool isReference)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = Leaves(rows, size, vocabulary);
        Tensor targets = Targets(rows, vocabulary);

        Tensor loss = LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], targets, 10, Form(3300, isReference, true));
        loss.backward();

        (double expected, double[][] gradients) = Naive(leaves, targets, 10);
        Assert.AreEqual(ScalarType.Float32, loss.dtype);
        Assert.AreEqual(expected, loss.item<float>(), 5e-3 * expected);
        for (int i = 0; i < leaves.Length; i++)
            AssertClose(tensor(gradients[i], leaves[i].shape).to(ScalarType.Float32), leaves[i].grad!, 1e-2);
    }

    // Both round the same sums, of which few lie so near a border that they fall to different sides.
    [TestMethod]
    public void Mean_BFloat16_KernelEqualsTensorOperations()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] fused = Leaves(33, 16, 101);
        Tensor[] plain = Leaves(33, 16, 101);
        Tensor targets = Targets(33, 101);

        LinearCrossEntropy.Mean(fused[0], fused[1], fused[2], targets, 10, Form(3300, false, true)).backward();
        LinearCrossEntropy.Mean(plain[0], plain[1], plain[2], targets, 10, Form(3300, true, true)).backward();

        for (int i = 0; i < fused.Length; i++)
            AssertClose(plain[i].grad!, fused[i].grad!, 2e-3);
    }

    [TestMethod]
    public void Mean_NaNInput_GivesNaN()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = Leaves(9, 4, 24);
        using (no_grad())
            leaves[0][3, 1] = float.NaN;
        Assert.IsTrue(float.IsNaN(LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], Targets(9, 24), 10).item<float>()));
    }

    [TestMethod]
    public void Mean_WithoutGradients_EqualsThatWithThem()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = Leaves(13, 5, 11);
        Tensor targets = Targets(13, 11);
        Tensor expected = LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], targets, 10, Form(90));

        using var noGradients = no_grad();
        Tensor actual = LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], targets, 10, Form(90));
        Assert.IsFalse(actual.requires_grad);
        Assert.AreEqual(expected.item<float>(), actual.item<float>());
    }

    [TestMethod]
    public void Mean_LargeLogits_StaysFinite()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor hidden = tensor(new[] { 200f, -200f }, [2, 1]).requires_grad_(true);
        Tensor weight = tensor(new[] { 1f, -1f }, [2, 1]).requires_grad_(true);

        Tensor loss = LinearCrossEntropy.Mean(hidden, weight, zeros(2), tensor(new[] { 1L, 1L }), 2);
        loss.backward();

        Assert.AreEqual(200, loss.item<float>(), 1e-3);
        CollectionAssert.AreEqual(new[] { 1f, 0f }, hidden.grad!.data<float>().ToArray());
    }

    [TestMethod]
    public void Mean_NoTarget_IsZeroWithZeroGradients()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = Leaves(4, 3, 5);
        Tensor loss = LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], full([4], Ignored, ScalarType.Int64), 1);
        loss.backward();

        Assert.AreEqual(0, loss.item<float>());
        foreach (Tensor leaf in leaves)
            Assert.AreEqual(0, leaf.grad!.abs().max().item<float>());
    }

    [TestMethod]
    public void Mean_ForwardAndBackward_LeavesNoTensorBehind()
    {
        using var state = new TorchState();
        using DisposeScope scope = NewDisposeScope();
        Tensor[] leaves = Leaves(13, 5, 11);
        LinearCrossEntropy.Mean(leaves[0], leaves[1], leaves[2], Targets(13, 11), 10, Form(90)).backward();
    }

    private static Tensor[] Leaves(long rows, long size, long vocabulary) =>
        [Random([rows, size], 1), Random([vocabulary, size], 2), Random([vocabulary], 3)];

    private static Tensor Random(long[] shape, int seed)
    {
        var random = new Random(seed);
        float[] values = [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(_ => 4 * random.NextSingle() - 2)];
        return tensor(values, shape).requires_grad_(true);
    }

    // Every third row but the first has no target.
    private static Tensor Targets(long rows, long vocabulary) =>
        tensor([.. Enumerable.Range(0, (int)rows).Select(row => row % 3 == 2 ? Ignored : row * 7 % vocabulary)], [rows]);

    private static (double Loss, double[][] Gradients) Naive(Tensor[] leaves, Tensor targets, double targetCount)
    {
        float[] hidden = Floats(leaves[0]), weight = Floats(leaves[1]), bias = Floats(leaves[2]);
        double[][] gradients = [new double[hidden.Length], new double[weight.Length], new double[bias.Length]];
        int size = (int)leaves[0].shape[1];
        double loss = 0;
        for (int r = 0; r < hidden.Length / size; r++)
        {
            long target = targets[r].item<long>();
            if (target == Ignored)
                continue;

            double[] logits = [.. bias.Select((b, v) => b + Enumerable.Range(0, size).Sum(k => (double)hidden[r * size + k] * weight[v * size + k]))];
            double total = logits.Sum(Math.Exp);
            loss += (Math.Log(total) - logits[target]) / targetCount;
            for (int v = 0; v < bias.Length; v++)
            {
                double gradient = (Math.Exp(logits[v]) / total - (v == target ? 1 : 0)) / targetCount;
                gradients[2][v] += gradient;
                for (int k = 0; k < size; k++)
                {
                    gradients[0][r * size + k] += gradient * weight[v * size + k];
                    gradients[1][v * size + k] += gradient * hidden[r * size + k];
                }
            }
        }

        return (loss, gradients);
    }

    private static float[] Floats(Tensor t) => t.detach().data<float>().ToArray();

    private static LinearCrossEntropyLayout Form(long chunkBytes, bool isReference = false, bool usesBFloat16 = false) =>
        new(usesBFloat16) { ChunkBytes = chunkBytes, IsReference = isReference };

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance = 1e-5)
    {
        CollectionAssert.AreEqual(expected.shape, actual.shape);
        double largest = expected.abs().max().item<float>();
        Assert.AreEqual(0, (expected - actual).abs().max().item<float>(), tolerance * largest + 1e-7);
    }
}
