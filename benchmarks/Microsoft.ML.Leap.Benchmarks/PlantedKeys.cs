using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A key at the beginning decides the token at the end: start, key, random filler, question, and the answer, one for each
/// key.</summary>
internal static class PlantedKeyTask
{
    public const int KeyCount = 8;
    public const int FillerKinds = 32;
    private const int Start = 0;
    private const int Question = 1;
    private const int FirstKey = 2;
    private const int FirstAnswer = FirstKey + KeyCount;
    private const int FirstFiller = FirstAnswer + KeyCount;

    public const int VocabularySize = FirstFiller + FillerKinds;

    /// <summary>Tokens of a sequence beside the filler.</summary>
    public const int Overhead = 4;

    /// <summary>The place of the key.</summary>
    public const int KeyPlace = 1;

    public static double Chance => 1.0 / KeyCount;

    /// <summary>Makes a sequence; from the key to the question there are <paramref name="distance"/> places.</summary>
    public static int[] Make(Random random, int distance)
    {
        int key = random.Next(KeyCount);
        return
        [
            Start, FirstKey + key, .. Enumerable.Range(0, distance - 1).Select(_ => FirstFiller + random.Next(FillerKinds)), Question,
            FirstAnswer + key,
        ];
    }
}

/// <summary>A small network that learns <see cref="PlantedKeyTask"/> at all distances up to the greatest, from the answers' loss alone.</summary>
internal sealed class PlantedKeyModel : IDisposable
{
    private const int BatchSize = 16;
    private const double LearningRate = 3e-3;
    private readonly int _leastDistance;
    private readonly int _greatestDistance;
    private LeapNetwork? _engine;

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

    /// <summary>Gets the trained network on the engine.</summary>
    public LeapNetwork Engine => _engine ??= new LeapNetwork(Network.Config, Network.GetWeights());

    private int Seed { get; }

    /// <summary>Trains with batches of one distance each, drawn evenly on a logarithmic scale.</summary>
    public void Train(int steps)
    {
        using var optimizer = new AdamWOptimizer(Network.Weights, new LeapLanguageModelTrainer.Options { Beta2 = 0.99, WeightDecay = 0 });
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
        int right = 0;
        float[] hidden = new float[Engine.Config.HiddenSize];
        float[] logits = new float[PlantedKeyTask.VocabularySize];
        for (int i = 0; i < count; i++)
        {
            int[] ids = PlantedKeyTask.Make(random, distance);
            using NetworkState state = Engine.CreateState();
            Engine.Read(ids.AsSpan(..^1), state, hidden);
            Engine.Logits([hidden], [logits]);
            right += TensorPrimitives.IndexOfMax<float>(logits) == ids[^1] ? 1 : 0;
        }

        return (double)right / count;
    }

    /// <summary>Returns the key's share of the question's window in the last layer, in the head where it is greatest: the mean over
    /// sequences.</summary>
    public double KeyShare(int distance, int count, Random random) => Enumerable.Range(0, count).Select(_ => KeyShare(distance, random)).Average();

    private double KeyShare(int distance, Random random)
    {
        int[] ids = PlantedKeyTask.Make(random, distance)[..^1];
        (FocusLayer[] layers, _, _) = FocusReader.Read(Engine, ids, 0, ids.Length - 1);
        if (layers[^1].Window < ids.Length)
            return 0.0;
        return layers[^1].Weights.Max(weights => weights[PlantedKeyTask.KeyPlace] / weights.Sum(weight => (double)weight));
    }

    public void Dispose()
    {
        _engine?.Dispose();
        Network.Dispose();
    }

    private void Step(AdamWOptimizer optimizer, int[][] sequences, int step, int steps)
    {
        using DisposeScope scope = NewDisposeScope();
        Network.zero_grad(set_to_none: true);
        Tensor hidden = Network.Hidden(Inputs([.. sequences.Select(ids => ids[..^1])]));
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

/// <summary>How models answer a question about a key so many tokens back.</summary>
/// <param name="Distance">Places from the key to the question.</param>
/// <param name="AccuracyGlobal">Part of right answers of a model whose last layer is global.</param>
/// <param name="AccuracyLocalOnly">Part of right answers of one with windows alone.</param>
/// <param name="Chance">Part of right answers of a guess.</param>
/// <param name="KeyShare">The key's share in the question's window, in the global layer's head where it is greatest.</param>
/// <param name="EvenShare">The share of each token if all were equal.</param>
internal sealed record PlantedKeyResult(
    int Distance, double AccuracyGlobal, double AccuracyLocalOnly, double Chance, double KeyShare, double EvenShare);
