using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class AdamWOptimizerTests
{
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Step_ManyTimes_FollowsTheRecurrenceInDoublePrecision(bool decayAll)
    {
        using var scope = NewDisposeScope();
        (string Name, Parameter Weight)[] weights =
        [
            ("block.weight", Parameter(linspace(-1, 1, 6).view(2, 3))),
            ("block.pre_convolution.weight", Parameter(linspace(-0.5, 1, 8).view(2, 4))),
            ("word_embedding.weight", Parameter(linspace(0.1, 2, 4).view(2, 2))),
            ("norm.bias", Parameter(linspace(1, 3, 3))),
        ];
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(1, 1).With(o => o.DecayAllWeights = decayAll);
        double GetDecay(string name) => decayAll || name == "block.weight" ? 1 : name == "word_embedding.weight" ? 1.0 / 3 : 0;
        Oracle[] oracles = [.. weights.Select(w => new Oracle(w.Weight, GetDecay(w.Name) * options.WeightDecay!.Value))];
        using var optimizer = new AdamWOptimizer(weights, options);

        for (int step = 1; step <= 50; step++)
        {
            double rate = 0.1 / step;
            for (int i = 0; i < weights.Length; i++)
            {
                float[] gradient = [.. Enumerable.Range(0, (int)weights[i].Weight.numel()).Select(j => (float)Math.Sin(step * (i + 1) + j))];
                weights[i].Weight.grad = tensor(gradient, weights[i].Weight.shape);
                oracles[i].Step(gradient, rate, step);
            }

            optimizer.Step(rate);
        }

        Assert.AreEqual(50, optimizer.StepCount);
        foreach ((var (name, weight), Oracle oracle) in weights.Zip(oracles))
        {
            float[] actual = weight.data<float>().ToArray();
            for (int i = 0; i < actual.Length; i++)
                Assert.AreEqual(oracle.Values[i], actual[i], 2e-6, $"{name}[{i}]");
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(8)]
    [DataRow(13)]
    [DataRow(100_003)]
    public void Apply_AnySize_EqualsTensorOperationsAtAnyThreadCount(int count)
    {
        using var scope = NewDisposeScope();
        var step = new AdamWStep(0.99f, 0.3f, 0.9f, 0.95f, 0.01f, 1.5f);
        Tensor gradient = linspace(-4, 5, count);
        Tensor[] Start() => [linspace(-1, 2, count), linspace(1, -1, count), linspace(0, 3, count)];
        Tensor[] plain = Start(), fused = Start(), single = Start();

        step.Reference(plain[0], gradient, plain[1], plain[2]);
        step.Apply(fused[0], gradient, fused[1], fused[2]);
        using (new ThreadCount(1))
            step.Apply(single[0], gradient, single[1], single[2]);

        for (int i = 0; i < plain.Length; i++)
        {
            Assert.AreEqual(0, (plain[i] - fused[i]).abs().max().item<float>(), 1e-6);
            Assert.AreEqual(0, fused[i].ne(single[i]).sum().item<long>());
        }
    }

    [TestMethod]
    public void Step_GradientFactor_ActsLikeScaledGradients()
    {
        using var scope = NewDisposeScope();
        Parameter[] weights = [Parameter(linspace(-1, 1, 6)), Parameter(linspace(-1, 1, 6))];
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(1, 1);
        using var clipping = new AdamWOptimizer([("a", weights[0])], options);
        using var plain = new AdamWOptimizer([("a", weights[1])], options);

        for (int step = 1; step <= 3; step++)
        {
            weights[0].grad = linspace(-2, step, 6);
            weights[1].grad = linspace(-2, step, 6) * (0.5 / step);
            clipping.Step(0.1, 0.5 / step);
            plain.Step(0.1);
        }

        Assert.AreEqual(0, (weights[0] - weights[1]).abs().max().item<float>(), 1e-6);
        Assert.AreEqual(3, weights[0].grad![5].item<float>());
    }

    private static Parameter Parameter(Tensor values) => new(values.clone());

    private sealed class Oracle(Tensor start, double decay)
    {
        private readonly double[] _mean = new double[start.numel()];
        private readonly double[] _square = new double[start.numel()];

        public double[] Values { get; } = [.. start.data<float>().ToArray().Select(value => (double)value)];

        public void Step(float[] gradient, double rate, int step)
        {
            for (int i = 0; i < Values.Length; i++)
            {
                _mean[i] = 0.9 * _mean[i] + 0.1 * gradient[i];
                _square[i] = 0.999 * _square[i] + 0.001 * gradient[i] * gradient[i];
                double mean = _mean[i] / (1 - Math.Pow(0.9, step));
                double square = _square[i] / (1 - Math.Pow(0.999, step));
                Values[i] -= rate * (decay * Values[i] + mean / (Math.Sqrt(square) + 1e-8));
            }
        }
    }
}
