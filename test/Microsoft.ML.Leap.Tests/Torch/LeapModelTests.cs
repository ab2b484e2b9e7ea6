using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapModelTests
{
    private static readonly string[] BlockNames =
    [
        "pre_norm.weight", "pre_norm.bias", "boom_norm.weight", "boom_norm.bias", "pre_convolution.weight", "boom_convolution.weight",
        "projections.weight", "boom.weight", "unboom.weight",
    ];

    private static LeapConfig Small(double dropout = 0) =>
        new(
            vocabularySize: 19, hiddenSize: 12, contextLength: 40, layerCount: 3, headCount: 3, windowSizes: [3, 8, 40], dropout: dropout,
            convolutionSize: 4, focusSize: 3);

    private static Tensor Ids(int batch, int length, int seed = 1)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, batch * length).Select(_ => random.NextInt64(19))], [batch, length]);
    }

    [TestMethod]
    public void ForwardBackward_InAScope_LeavesNoTensorAndNoGlobalStateChanged()
    {
        // TorchSharp goes on counting the emptied tensor that a Parameter was made of, for ever: one per weight.
        long tensors = Tensor.TotalCount;
        int weights;
        byte[] generatorBefore = GlobalGenerator();
        using (var model = new LeapModel(Small(dropout: 0.2), CPU, 1))
        {
            weights = model.Weights.Count;
            for (int step = 0; step < 2; step++)
            {
                using DisposeScope scope = NewDisposeScope();
                model.train();
                Tensor logits = model.call(Ids(2, 20));
                logits.sum().backward();
                model.zero_grad();
            }
        }

        Assert.AreEqual(tensors + weights, Tensor.TotalCount);
        CollectionAssert.AreEqual(generatorBefore, GlobalGenerator());
        Assert.IsTrue(is_grad_enabled());
    }

    private static byte[] GlobalGenerator()
    {
        using Tensor state = get_rng_state();
        return state.data<byte>().ToArray();
    }

    // 8 significant bits, through three layers and back; the focus, the exponential of a logit of up to 8, magnifies what they lose.
    [TestMethod]
    public void Loss_TrainingInBFloat16_AndItsGradientsAreCloseToThoseInSinglePrecision()
    {
        using var single = new LeapModel(Small(), CPU, 1);
        using var half = new LeapModel(Small(), CPU, 1) { TrainsInBFloat16 = true };
        using DisposeScope scope = NewDisposeScope();
        Tensor inputs = Ids(2, 40);
        Tensor targets = Ids(2, 40, seed: 2);
        float[] losses = [.. new[] { single, half }.Select(model =>
        {
            model.train();
            Tensor loss = LanguageModelLoss.Mean(model, inputs, targets);
            loss.backward();
            return loss.item<float>();
        })];

        Assert.AreEqual(losses[0], losses[1], 1e-2);
        Assert.AreNotEqual(losses[0], losses[1]);
        foreach (((string name, var expected), (_, var actual)) in single.Weights.Zip(half.Weights))
        {
            double norm = expected.grad!.norm().item<float>();
            Assert.AreEqual(ScalarType.Float32, actual.grad!.dtype);
            Assert.AreEqual(0, (expected.grad! - actual.grad!).norm().item<float>(), 0.15 * norm, name);
        }

        half.eval();
        single.eval();
        Assert.AreEqual(0, (single.call(inputs) - half.call(inputs)).abs().max().item<float>());
    }

    [TestMethod]
    public void Weights_OfAnyModel_AreEachTensorOnceUnderItsCheckpointName()
    {
        LeapConfig config = Small();
        using var model = new LeapModel(config, CPU, 1);

        string[] expected =
        [
            "word_embedding.weight", "proj_logits.bias", "leap_model.position_embeddings.weight",
            .. Enumerable.Range(0, 3).SelectMany(l => BlockNames.Select(name => $"leap_model.decoders.{l}.{name}")),
            "last_norm.weight", "last_norm.bias",
        ];
        CollectionAssert.AreEqual(expected, model.Weights.Select(w => w.Name).ToArray());
        Assert.AreEqual(config.ParameterCount, model.Weights.Sum(w => w.Weight.numel()));
        Assert.AreEqual(model.Weights.Count, model.parameters().Count());
    }

    [TestMethod]
    public void Forward_OfABatch_EqualsNaiveNetwork()
    {
        using DisposeScope scope = NewDisposeScope();
        using LeapModel model = Strong(Small());
        Tensor ids = Ids(2, 33);

        double[] actual = Doubles(model.call(ids));

        var naive = new NaiveLeap(model.Config, model.Weights.ToDictionary(w => w.Name, w => Doubles(w.Weight)));
        double[] expected =
        [
            .. Enumerable.Range(0, 2).SelectMany(b => naive.Logits(ids[b].data<long>().ToArray()).SelectMany(row => row)),
        ];
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-4);
    }

    [TestMethod]
    public void Backward_OfTheLoss_EqualsDifferenceQuotientsOfTheNaiveNetwork()
    {
        using DisposeScope scope = NewDisposeScope();
        using LeapModel model = Strong(Small());
        Tensor ids = Ids(1, 30);
        Tensor targets = Ids(1, 30, seed: 2);
        nn.functional.cross_entropy(model.call(ids).view(-1, 19), targets.view(-1)).backward();

        var weights = model.Weights.ToDictionary(w => w.Name, w => Doubles(w.Weight));
        long[] idArray = ids.data<long>().ToArray();
        long[] targetArray = targets.data<long>().ToArray();
        foreach (var (name, weight) in model.Weights)
        {
            double[] gradient = Doubles(weight.grad!);
            int largest = Array.IndexOf(gradient, gradient.MaxBy(Math.Abs));
            double expected = DifferenceQuotient(new NaiveLeap(model.Config, weights), weights[name], largest, idArray, targetArray);
            Assert.AreEqual(expected, gradient[largest], 1e-3 * Math.Abs(expected), name);
        }
    }

    [TestMethod]
    public void Forward_ChangedFuture_LeavesThePastBitEqual()
    {
        using DisposeScope scope = NewDisposeScope();
        using LeapModel model = Strong(Small());
        Tensor ids = Ids(2, 40);
        Tensor changed = ids.clone();
        changed.narrow(1, 25, 15).add_(1).remainder_(19);

        Tensor expected = model.call(ids);
        Tensor actual = model.call(changed);

        Assert.AreEqual(0, Different(expected.narrow(1, 0, 25), actual.narrow(1, 0, 25)));
        Assert.AreNotEqual(0, Different(expected.narrow(1, 25, 15), actual.narrow(1, 25, 15)));
    }

    [TestMethod]
    public void Constructor_SameSeed_GivesTheSameWeightsOfTheAskedSpread()
    {
        using DisposeScope scope = NewDisposeScope();
        var config = new LeapConfig(500, 32, 64, layerCount: 1, headCount: 4, initializerRange: 0.05);
        using var model = new LeapModel(config, CPU, 5);
        using var same = new LeapModel(config, CPU, 5);
        using var other = new LeapModel(config, CPU, 6);

        foreach (var ((name, weight), (_, twin)) in model.Weights.Zip(same.Weights))
            Assert.AreEqual(0, Different(weight, twin), name);
        Tensor embedding = model.Weights[0].Weight;
        Assert.AreNotEqual(0, Different(embedding, other.Weights[0].Weight));

        // Of 16,000 samples: five standard errors.
        Assert.AreEqual(0.05, embedding.std().item<float>(), 0.05 * 5 / Math.Sqrt(2 * 16_000));
        Assert.AreEqual(0, embedding.mean().item<float>(), 0.05 * 5 / Math.Sqrt(16_000));
        Assert.AreEqual(0, model.Weights[1].Weight.count_nonzero().item<long>());
        Assert.IsTrue(model.Weights[^2].Weight.eq(1).all().item<bool>());
    }

    [TestMethod]
    public void SeedDropout_SameSeedAgain_RepeatsATrainingPass()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = new LeapModel(Small(dropout: 0.2), CPU, 1);
        Tensor ids = Ids(2, 20);

        model.SeedDropout(3);
        Tensor first = model.call(ids);
        Tensor second = model.call(ids);
        model.SeedDropout(3);
        Tensor again = model.call(ids);

        Assert.AreEqual(0, Different(first, again));
        Assert.AreNotEqual(0, Different(first, second));
        model.eval();
        Assert.AreEqual(0, Different(model.call(ids), model.call(ids)));
    }

    [TestMethod]
    public void Logits_OfHidden_AreForwards()
    {
        using DisposeScope scope = NewDisposeScope();
        using LeapModel model = Strong(Small());
        Tensor ids = Ids(2, 20);
        Tensor hidden = model.Hidden(ids);

        CollectionAssert.AreEqual(new long[] { 2, 20, 12 }, hidden.shape);
        Assert.IsTrue(model.Logits(hidden.view(-1, 12)).view(2, 20, 19).allclose(model.call(ids), 1e-5, 1e-6));
    }

    [TestMethod]
    public void Forward_WrongShapes_AreRefused()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = new LeapModel(Small(), CPU, 1);

        Assert.AreEqual("inputIds", Assert.ThrowsExactly<ArgumentException>(() => model.call(Ids(1, 41))).ParamName);
        Assert.AreEqual("inputIds", Assert.ThrowsExactly<ArgumentException>(() => model.call(Ids(1, 5)[0])).ParamName);
    }

    [TestMethod]
    public void Constructor_InsideAScope_LeavesWeightsToTheModel()
    {
        LeapModel model;
        using (NewDisposeScope())
            model = new LeapModel(Small(), CPU, 1);

        foreach (var (name, weight) in model.Weights)
            Assert.IsFalse(weight.IsInvalid, name);
        model.Dispose();
    }

    // Matrices so large that focus and gates leave their linear range, and norms and biases unlike their initial values.
    private static LeapModel Strong(LeapConfig config)
    {
        var model = new LeapModel(config, CPU, 1);
        model.eval();
        using (no_grad())
        {
            foreach (var (name, weight) in model.Weights)
            {
                using Tensor noise = rand_like(weight).sub_(0.5);
                bool isAtItsScale = weight.dim() == 1 || name.Contains("convolution", StringComparison.Ordinal);
                weight.mul_(isAtItsScale ? 1 : 10).add_(noise.mul_(0.2));
            }
        }

        return model;
    }

    private static double DifferenceQuotient(NaiveLeap naive, double[] weight, int index, long[] ids, long[] targets)
    {
        const double step = 1e-5;
        double value = weight[index];
        weight[index] = value + step;
        double above = Loss();
        weight[index] = value - step;
        double below = Loss();
        weight[index] = value;
        return (above - below) / (2 * step);

        double Loss() => naive.Logits(ids)
            .Select((row, i) => Math.Log(row.Sum(Math.Exp)) - row[targets[i]]).Average();
    }

    private static long Different(Tensor a, Tensor b) => a.ne(b).sum().item<long>();

    private static double[] Doubles(Tensor t) => t.detach().to(ScalarType.Float64).contiguous().data<double>().ToArray();
}
