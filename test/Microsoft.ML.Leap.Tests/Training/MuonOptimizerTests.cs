using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MuonOptimizerTests
{
    // Amsel and others, "The Polar Express" (2025), for singular values from 0.001 on.
    private static readonly (double A, double B, double C)[] Coefficients =
    [
        (8.28721201814563, -23.595886519098837, 17.300387312530933),
        (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    ];

    [TestMethod]
    [DataRow(4, 12, 1.0)]
    [DataRow(32, 64, 1.0)]
    [DataRow(64, 32, 1.0)]
    [DataRow(16, 16, 1e-6)]
    public void Orthogonalize_AnyMatrices_MapsSingularValuesByThePolynomial(int rows, int columns, double size)
    {
        using var scope = NewDisposeScope();
        Tensor x = sin(arange(3 * rows * columns, ScalarType.Float32).square()).view(3, rows, columns) * size;

        Tensor actual = NewtonSchulz.Orthogonalize(x, usesBFloat16: false);

        var (U, S, Vh) = linalg.svd(x.to(ScalarType.Float64), fullMatrices: false);
        Tensor values = S / S.square().sum(-1, keepdim: true).sqrt();
        foreach (var (a, b, c) in Coefficients)
            values = a * values + b * values.pow(3) + c * values.pow(5);
        Assert.AreEqual(0, (actual - U.matmul(diag_embed(values)).matmul(Vh)).abs().max().item<double>(), 1e-3);
    }

    [TestMethod]
    public void Orthogonalize_OneDirectionAlone_StaysThereAndFinite()
    {
        using var scope = NewDisposeScope();
        Tensor direction = cos(arange(32 * 40, ScalarType.Float32)).view(32, 40).narrow(0, 0, 1);
        Tensor x = linspace(-1, 1, 32).view(32, 1).matmul(direction).unsqueeze(0);

        Tensor actual = NewtonSchulz.Orthogonalize(x, usesBFloat16: false);

        double value = 1;
        foreach (var (a, b, c) in Coefficients)
            value = a * value + b * Math.Pow(value, 3) + c * Math.Pow(value, 5);
        Tensor expected = x / x.square().sum().sqrt() * value;
        Assert.AreEqual(0, (actual - expected).abs().max().item<float>(), 1e-3);
    }

    [TestMethod]
    [DataRow(128, 512)]
    [DataRow(512, 128)]
    [DataRow(128, 128)]
    public void Orthogonalize_InBFloat16_BoundsAllSingularValuesAndKeepsTheirDirections(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);

        // Columns over three decades: many singular values are below what bfloat16 can tell from 0 beside the greatest.
        Tensor x = randn([2, rows, columns], generator: generator) * logspace(-3, 0, columns);

        Tensor actual = NewtonSchulz.Orthogonalize(x, usesBFloat16: true);

        Tensor exact = NewtonSchulz.Orthogonalize(x, usesBFloat16: false);
        Assert.AreEqual(ScalarType.Float32, actual.dtype);
        var (_, values, _) = linalg.svd(actual, fullMatrices: false);
        Assert.IsLessThan(2.0, values.max().item<float>());
        Tensor cosines = (actual * exact).sum([1, 2]) / actual.flatten(1).norm(1) / exact.flatten(1).norm(1);
        Assert.IsGreaterThan(0.99, cosines.min().item<float>());
    }

    [TestMethod]
    [DataRow(6, 4)]
    [DataRow(4, 6)]
    [DataRow(64, 64)]
    [DataRow(34, 40)]
    public void Step_ManyTimes_FollowsTheRecurrenceInDoublePrecision(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        var weight = new Parameter(linspace(-1, 1, rows * columns).view(rows, columns));
        var other = new Parameter(linspace(1, -1, rows * columns).view(rows, columns));
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(1, 1);
        Oracle oracle = new(weight, options.WeightDecay!.Value), otherOracle = new(other, options.WeightDecay!.Value);
        using var optimizer = new MuonOptimizer([("a", weight), ("b", other)], options);

        for (int step = 1; step <= 10; step++)
        {
            float[] gradient = Gradient(step), otherGradient = Gradient(step + 100);
            weight.grad = tensor(gradient, weight.shape);
            other.grad = tensor(otherGradient, other.shape);
            optimizer.Step(step, 0.1 / step, 0.5);

            // They move in every second step, twice as far.
            double rate = step % 2 == 1 ? 0.2 / step : 0;
            oracle.Step(gradient, 0.5, rate);
            otherOracle.Step(otherGradient, 0.5, rate);
        }

        AssertEqual(oracle, weight);
        AssertEqual(otherOracle, other);

        float[] Gradient(int step) => [.. Enumerable.Range(0, rows * columns).Select(i => (float)Math.Sin(step * 0.7 + i * i))];
    }

    [TestMethod]
    [DataRow(24, 16)]
    [DataRow(2100, 1000)]
    public void Step_OfSeveralMatrices_MovesEachAsIfItWereAlone(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        Tensor[] values = [.. Enumerable.Range(0, 3).Select(_ => randn([rows, columns], generator: generator))];
        Parameter[] together = [.. values.Select(value => Make(value)), Make(values[0].t())], alone = [.. together.Select(weight => Make(weight.detach()))];

        Step(together);
        foreach (Parameter weight in alone)
            Step([weight]);

        // The step changes each value by about 0.2 x 0.2: twice the learning rate, times the root mean square.
        foreach (var (moved, expected) in together.Zip(alone))
            Assert.AreEqual(0, (moved - expected).abs().max().item<float>(), 1e-5);
        Assert.IsGreaterThan(0.01, (together[0] - values[0]).abs().mean().item<float>());

        static Parameter Make(Tensor value) => new(value.contiguous().clone()) { grad = value.sin() };

        static void Step(Parameter[] weights)
        {
            using var optimizer = new MuonOptimizer([.. weights.Select((weight, i) => ($"{i}", weight))], TrainingSamples.Options(1, 1));
            optimizer.Step(1, 0.1);
        }
    }

    [TestMethod]
    public void Step_WithoutGradient_LeavesTheWeight()
    {
        using var scope = NewDisposeScope();
        Parameter still = new(ones(4, 4)), zero = new(ones(4, 4));
        using var optimizer = new MuonOptimizer([("still", still), ("zero", zero)], TrainingSamples.Options(1, 1));
        zero.grad = zeros(4, 4);

        optimizer.Step(1, 0.1);

        Assert.AreEqual(1, still.min().item<float>());

        // A gradient of 0 moves nothing; weight decay does.
        Assert.AreEqual(1 - 0.2 * 0.1, zero.min().item<float>(), 1e-6);
        Assert.AreEqual(1 - 0.2 * 0.1, zero.max().item<float>(), 1e-6);
    }

    [TestMethod]
    public void Optimizer_OfMuon_GivesItTheMatricesOfTheBlocksAlone()
    {
        using var scope = NewDisposeScope();
        using var model = new LeapModel(TrainingSamples.Config, CPU, 1);
        using var optimizer = new Optimizer(model.Weights, TrainingSamples.Options(1, 1).With(options => options.Optimizer = TrainingOptimizer.Muon));
        using var adamW = new Optimizer(model.Weights, TrainingSamples.Options(1, 1));

        string[] momenta = [.. optimizer.State.Select(entry => entry.Key).Where(name => name.StartsWith("momentum.", StringComparison.Ordinal))];

        string[] matrices = ["projections", "boom", "unboom"];
        CollectionAssert.AreEquivalent(
            Enumerable.Range(0, 2).SelectMany(l => matrices.Select(m => $"momentum.leap_model.decoders.{l}.{m}.weight")).ToArray(), momenta);
        Assert.AreEqual(momenta.Length + 2 * (model.Weights.Count - momenta.Length), optimizer.State.Count());
        Assert.AreEqual(2 * model.Weights.Count, adamW.State.Count());
    }

    private static void AssertEqual(Oracle oracle, Parameter weight)
    {
        float[] actual = weight.data<float>().ToArray();
        for (int i = 0; i < actual.Length; i++)
            Assert.AreEqual(oracle.Values[i], actual[i], 1e-4, $"[{i}]");
    }

    // Loops in double precision: the iteration on the matrix itself, as its author wrote it, and not on its products.
    private sealed class Oracle(Parameter start, double decay)
    {
        private readonly int _rows = (int)start.shape[0];
        private readonly int _columns = (int)start.shape[1];
        private readonly double[] _mean = new double[start.numel()];

        public double[] Values { get; } = [.. start.data<float>().ToArray().Select(value => (double)value)];

        public void Step(float[] gradient, double factor, double rate)
        {
            var x = new double[_rows, _columns];
            double squares = 0;
            for (int i = 0; i < Values.Length; i++)
            {
                _mean[i] = 0.95 * _mean[i] + 0.05 * factor * gradient[i];
                double next = 0.95 * _mean[i] + 0.05 * factor * gradient[i];
                x[i / _columns, i % _columns] = next;
                squares += next * next;
            }

            x = Sum(1 / Math.Sqrt(squares), x, 0, x, 0, x);
            foreach (var (a, b, c) in Coefficients)
            {
                double[,] square = Product(x, Transpose(x));
                double[,] cube = Product(square, x);
                x = Sum(a, x, b, cube, c, Product(square, cube));
            }

            double size = rate * 0.2 * Math.Sqrt(Math.Max(_rows, _columns));
            for (int i = 0; i < Values.Length; i++)
                Values[i] = Values[i] * (1 - rate * decay) - size * x[i / _columns, i % _columns];
        }

        private static double[,] Sum(double a, double[,] x, double b, double[,] y, double c, double[,] z)
        {
            var sum = new double[x.GetLength(0), x.GetLength(1)];
            for (int i = 0; i < sum.GetLength(0); i++)
            {
                for (int j = 0; j < sum.GetLength(1); j++)
                    sum[i, j] = a * x[i, j] + b * y[i, j] + c * z[i, j];
            }

            return sum;
        }

        private static double[,] Transpose(double[,] x)
        {
            var y = new double[x.GetLength(1), x.GetLength(0)];
            for (int i = 0; i < y.GetLength(0); i++)
            {
                for (int j = 0; j < y.GetLength(1); j++)
                    y[i, j] = x[j, i];
            }

            return y;
        }

        private static double[,] Product(double[,] x, double[,] y)
        {
            var z = new double[x.GetLength(0), y.GetLength(1)];
            for (int i = 0; i < z.GetLength(0); i++)
            {
                for (int k = 0; k < y.GetLength(0); k++)
                {
                    for (int j = 0; j < z.GetLength(1); j++)
                        z[i, j] += x[i, k] * y[k, j];
                }
            }

            return z;
        }
    }
}
