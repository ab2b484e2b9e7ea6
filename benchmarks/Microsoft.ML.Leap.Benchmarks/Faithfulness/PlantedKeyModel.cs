using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A small network that learns <see cref="PlantedKeyTask"/> at all distances up to the greatest, from the answers' loss alone.</summary>
internal sealed class PlantedKeyModel : IDisposable
{
    private const int BatchSize = 16;
    private const double LearningRate = 3e-3;
    private readonly int _leastDistance;
    private readonly int _greatestDistance;

    /// <param name="distances">The distances to learn.</param>
    /// <param name="isGlobal">Whether the last layer is global; otherwise both layers have windows of 4 and 8 tokens.</param>
    /// <param name="seed">Decides the weights and the sequences.</param>
    public PlantedKeyModel(IReadOnlyCollection<int> distances, bool isGlobal, int seed)
    {
        _leastDistance = distances.Min();
        _greatestDistance = distances.Max();
        int length = _greatestDistance + PlantedKeyTask.Overhead;
        var config = new LeapConfig(
            PlantedKeyTask.VocabularySize, hiddenSize: 32, contextLength: length, layerCount: 2, headCount: 2,
            windowSizes: [4, isGlobal ? length : 8], dropout: 0);
        Network = new LeapModel(config, CPU, seed);
        Seed = seed;
    }

    public LeapModel Network { get; }

    private int Seed { get; }

    /// <summary>Trains with batches of one distance each, drawn evenly on a logarithmic scale.</summary>
    public void Train(int steps)
    {
        var settings = new TrainingSettings
        {
            Epochs = 1,
            BatchSize = BatchSize,
            LearningRate = LearningRate,
            Beta1 = 0.9,
            Beta2 = 0.99,
            WeightDecay = 0,
            MaximumGradientNorm = 1,
            Seed = Seed,
        };
        using var optimizer = new AdamWOptimizer(Network.Weights, settings);
        var random = new Random(Seed);
        Network.train();
        for (int step = 0; step < steps; step++)
        {
            double ratio = Math.Pow((double)_greatestDistance / _leastDistance, random.NextDouble());
            int distance = (int)Math.Round(_leastDistance * ratio);
            Step(optimizer, [.. Enumerable.Range(0, BatchSize).Select(_ => PlantedKeyTask.Make(random, distance))], step, steps);
        }

        Network.zero_grad(set_to_none: true);
        Network.eval();
    }

    /// <summary>Returns the part of sequences whose answer is the most likely token.</summary>
    public double Accuracy(int distance, int count, Random random)
    {
        using var noGradients = no_grad();
        int right = 0;
        for (int i = 0; i < count; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            int[] ids = PlantedKeyTask.Make(random, distance);
            Tensor hidden = Network.Hidden(Inputs([ids[..^1]]), null);
            right += Network.Logits(hidden[0, -1]).argmax().item<long>() == ids[^1] ? 1 : 0;
        }

        return (double)right / count;
    }

    /// <summary>Returns the key's share of the question's window in the last layer, in the head where it is greatest: the mean over
    /// sequences.</summary>
    public double KeyShare(int distance, int count, Random random) => Enumerable.Range(0, count).Select(_ => KeyShare(distance, random)).Average();

    private double KeyShare(int distance, Random random)
    {
        int[] ids = PlantedKeyTask.Make(random, distance)[..^1];
        (FocusLayer[] layers, _) = FocusReader.Read(Network, ids, 0, ids.Length - 1);
        if (layers[^1].Window < ids.Length)
            return 0.0;
        return layers[^1].Weights.Max(weights => weights[PlantedKeyTask.KeyPlace] / weights.Sum(weight => (double)weight));
    }

    public void Dispose() => Network.Dispose();

    private void Step(AdamWOptimizer optimizer, int[][] sequences, int step, int steps)
    {
        using DisposeScope scope = NewDisposeScope();
        Network.zero_grad(set_to_none: true);
        Tensor hidden = Network.Hidden(Inputs([.. sequences.Select(ids => ids[..^1])]), null);
        Tensor logits = Network.Logits(hidden.select(1, -1));
        Tensor answers = tensor([.. sequences.Select(ids => (long)ids[^1])]);
        nn.functional.cross_entropy(logits, answers).backward();
        double norm = Math.Sqrt(Network.Weights.Where(entry => entry.Weight.grad is not null)
            .Sum(entry => Math.Pow(entry.Weight.grad!.norm().item<float>(), 2)));
        double warmup = Math.Min(1, (step + 1) / 50.0);
        optimizer.Step(LearningRate * warmup * (1 - (double)step / steps), Math.Min(1, 1 / norm));
    }

    private static Tensor Inputs(int[][] sequences) =>
        tensor([.. sequences.SelectMany(ids => ids.Select(id => (long)id))], [sequences.Length, sequences[0].Length]);
}
