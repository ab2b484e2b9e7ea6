using Microsoft.ML.Leap.Benchmarks;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class Gpt2ModelTests
{
    private const int Vocabulary = 19;

    private static readonly string[] BlockNames =
    [
        "ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias", "attn_convolution.weight", "mlp_convolution.weight", "c_attn.weight", "c_attn.bias", "c_proj.weight", "c_proj.bias",
        "c_fc.weight", "c_fc.bias", "mlp_proj.weight", "mlp_proj.bias",
    ];

    private static LeapConfig Config(double dropout = 0) => new(Vocabulary, 12, contextLength: 40, layerCount: 2, headCount: 3, dropout: dropout, convolutionSize: 4);

    [TestMethod]
    public void Weights_OfAnyModel_AreEachTensorOnceUnderItsName()
    {
        using var model = new Gpt2Model(Config(), CPU, 1);

        string[] expected =
        [
            "word_embedding.weight", "position_embeddings.weight", "proj_logits.bias",
            .. Enumerable.Range(0, 2).SelectMany(l => BlockNames.Select(name => $"h.{l}.{name}")),
            "ln_f.weight", "ln_f.bias",
        ];
        CollectionAssert.AreEqual(expected, model.Weights.Select(w => w.Name).ToArray());
        Assert.AreEqual(model.Weights.Count, model.parameters().Count());
    }

    [TestMethod]
    public void Weights_AtTheStart_AreLowerWhereTheyFeedTheResidualStream()
    {
        using DisposeScope scope = NewDisposeScope();
        var config = new LeapConfig(Vocabulary, 128, contextLength: 40, layerCount: 8, headCount: 4);
        using var model = new Gpt2Model(config, CPU, 1);

        foreach ((string name, var weight) in model.Weights.Where(w => w.Weight.dim() == 2 && w.Weight.numel() > 10_000))
        {
            double expected = name.Contains("proj", StringComparison.Ordinal) ? 0.02 / 4 : 0.02;
            Assert.AreEqual(expected, weight.std().item<float>(), 0.02 * expected, name);
        }
    }

    [TestMethod]
    public void Forward_AnyIds_EqualsNaiveNetwork()
    {
        using DisposeScope scope = NewDisposeScope();
        using Gpt2Model model = Strong(Config());
        Tensor ids = Ids(2, 33);

        double[] actual = Doubles(model.call(ids));

        var naive = new NaiveGpt2(model.Config, GetWeights(model));
        double[] expected = [.. Enumerable.Range(0, 2).SelectMany(b => naive.Logits(ids[b].data<long>().ToArray()).SelectMany(row => row))];
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-4);
    }

    [TestMethod]
    public void Backward_OfTheTrainersLoss_EqualsDifferenceQuotientsOfTheNaiveNetwork()
    {
        using DisposeScope scope = NewDisposeScope();
        using Gpt2Model model = Strong(Config());
        Tensor ids = Ids(1, 20);
        Tensor targets = Ids(1, 20, seed: 2);
        LanguageModelLoss.Mean(model, ids, targets).backward();

        Dictionary<string, double[]> weights = GetWeights(model);
        foreach ((string name, var weight) in model.Weights)
        {
            double[] gradient = Doubles(weight.grad!);
            int largest = Array.IndexOf(gradient, gradient.MaxBy(Math.Abs));
            double value = weights[name][largest];
            double LossAt(double changed)
            {
                weights[name][largest] = changed;
                return Loss(new NaiveGpt2(model.Config, weights), ids.data<long>().ToArray(), targets.data<long>().ToArray());
            }

            double expected = (LossAt(value + 1e-5) - LossAt(value - 1e-5)) / 2e-5;
            weights[name][largest] = value;
            Assert.AreEqual(expected, gradient[largest], 1e-3 * Math.Abs(expected), name);
        }
    }

    [TestMethod]
    public void Forward_ChangedFuture_LeavesThePast()
    {
        using DisposeScope scope = NewDisposeScope();
        using Gpt2Model model = Strong(Config());
        Tensor ids = Ids(2, 40);
        Tensor changed = ids.clone();
        changed.narrow(1, 25, 15).add_(1).remainder_(Vocabulary);

        Tensor difference = (model.call(ids) - model.call(changed)).abs();

        Assert.AreEqual(0f, difference.narrow(1, 0, 25).max().item<float>());
        Assert.AreNotEqual(0f, difference.narrow(1, 25, 15).max().item<float>());
    }

    [TestMethod]
    public void ForwardBackward_WithDropout_FollowsItsSeedAndLeavesNoTrace()
    {
        using var model = new Gpt2Model(Config(dropout: 0.2), CPU, 1);
        model.train();
        Train(model, seed: 1);
        using var state = new TorchState();

        float first = Train(model, seed: 1);

        Assert.AreEqual(first, Train(model, seed: 1));
        Assert.AreNotEqual(first, Train(model, seed: 2));
        model.zero_grad(set_to_none: true);
    }

    [TestMethod]
    public void Dispose_OfATrainedModel_FreesEverything()
    {
        using var state = new TorchState(weights: 2 * BlockNames.Length + 5);
        using var model = new Gpt2Model(Config(dropout: 0.2), CPU, 1);
        Train(model, seed: 1);
    }

    private static float Train(Gpt2Model model, long seed)
    {
        using DisposeScope scope = NewDisposeScope();
        model.SeedDropout(seed);
        model.zero_grad(set_to_none: true);
        Tensor loss = LanguageModelLoss.Mean(model, Ids(2, 20), Ids(2, 20, seed: 2));
        loss.backward();
        float value = loss.item<float>();
        model.zero_grad(set_to_none: true);
        return value;
    }

    private static double Loss(NaiveGpt2 naive, long[] ids, long[] targets) =>
        naive.Logits(ids).Select((row, i) => Math.Log(row.Sum(Math.Exp)) - row[targets[i]]).Average();

    // Initial weights are too small to tell right attention from wrong.
    private static Gpt2Model Strong(LeapConfig config)
    {
        var model = new Gpt2Model(config, CPU, 3);
        model.eval();
        using var noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        foreach ((_, var weight) in model.Weights)
            weight.add_(empty(weight.shape).normal_(0, 0.3, generator));
        return model;
    }

    private static Tensor Ids(int batch, int length, int seed = 1)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, batch * length).Select(_ => random.NextInt64(Vocabulary))], [batch, length]);
    }

    private static Dictionary<string, double[]> GetWeights(Gpt2Model model) => model.Weights.ToDictionary(w => w.Name, w => Doubles(w.Weight));

    private static double[] Doubles(Tensor values) => values.to(ScalarType.Float64).contiguous().data<double>().ToArray();
}
