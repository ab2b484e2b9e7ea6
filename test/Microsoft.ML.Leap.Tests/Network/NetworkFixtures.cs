using System.Text;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Networks for tests of the engine.</summary>
internal static class NetworkFixtures
{
    /// <summary>Reads a network of the original's, with ids, the tokens that are real, and its logits.</summary>
    public static (LeapConfig Config, Dictionary<string, float[]> Weights, int[][] Ids, float[][] Logits) Load(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(FixturePath(name + ".json")));
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json.RootElement.GetProperty("config").GetRawText()));
        IReadOnlyDictionary<string, Tensor> file = TensorFiles.Load(FixturePath(name + ".safetensors"));
        long[] ids = file["input_ids"].data<long>().ToArray();
        bool[] mask = (file["attention_mask"] != 0).data<bool>().ToArray();
        float[] logits = file["logits"].data<float>().ToArray();
        int length = (int)file["input_ids"].shape[1];
        int vocabulary = (int)file["logits"].shape[2];
        int[] rows = [.. Enumerable.Range(0, ids.Length / length)];
        int[] lengths = [.. rows.Select(row => mask.AsSpan(row * length, length).Count(true))];
        return (
            ConfigJson.Read(stream),
            file.Where(pair => pair.Key.StartsWith("weight.", StringComparison.Ordinal))
                .ToDictionary(pair => pair.Key["weight.".Length..], pair => pair.Value.data<float>().ToArray()),
            [.. rows.Select(row => ids.Skip(row * length).Take(lengths[row]).Select(id => (int)id).ToArray())],
            [.. rows.Select(row => logits.AsSpan(row * length * vocabulary, lengths[row] * vocabulary).ToArray())]);
    }

    /// <summary>Makes weights of which every one matters.</summary>
    public static Dictionary<string, float[]> RandomWeights(LeapConfig config, int seed = 1)
    {
        var random = new Random(seed);
        var weights = new Dictionary<string, float[]>();
        foreach ((string name, long[] shape) in Checkpoint.GetExpectedShapes(config))
        {
            bool isEmbeddingOrConvolution =
                name.Contains("embedding", StringComparison.Ordinal) || name.Contains("convolution", StringComparison.Ordinal);
            double scale = isEmbeddingOrConvolution ? 0.5 : 1.2 / Math.Sqrt(shape[^1]);
            bool isNormWeight = name.EndsWith("norm.weight", StringComparison.Ordinal);
            float[] values = new float[shape.Aggregate((a, b) => a * b)];
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)(isNormWeight ? 0.5 + random.NextDouble() : scale * Normal(random));
            weights.Add(name, values);
        }

        return weights;
    }

    public static int[] RandomIds(int seed, int count, int vocabulary)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }

    /// <summary>Runs a network over sequences and returns the hidden vectors of each.</summary>
    public static unsafe float[][] Hidden(LeapNetwork network, IEnumerable<int[]> sequences, IReadOnlyList<NetworkState>? states = null)
    {
        int d = network.Config.HiddenSize;
        ReadOnlyMemory<int>[] ids = [.. sequences.Select(sequence => new ReadOnlyMemory<int>(sequence))];
        float[][] hidden = [.. ids.Select(sequence => new float[sequence.Length * d])];
        int[] read = new int[ids.Length];
        network.Forward(ids, states, (sequence, first, count, values) =>
        {
            Assert.AreEqual(read[sequence], first);
            read[sequence] += count;
            new ReadOnlySpan<float>(values, count * d).CopyTo(hidden[sequence].AsSpan(first * d));
        });
        for (int i = 0; i < ids.Length; i++)
            Assert.HasCount(read[i], ids[i].ToArray());
        return hidden;
    }

    public static float[] Logits(LeapNetwork network, float[] hidden)
    {
        float[][] logits = [.. hidden.Chunk(network.Config.HiddenSize).Select(_ => new float[network.Config.VocabularySize])];
        network.Logits([.. hidden.Chunk(network.Config.HiddenSize)], logits);
        return [.. logits.SelectMany(row => row)];
    }

    public static void AssertClose(IReadOnlyList<float> expected, IReadOnlyList<float> actual, double tolerance)
    {
        Assert.HasCount(expected.Count, actual);
        for (int i = 0; i < expected.Count; i++)
            Assert.AreEqual(expected[i], actual[i], tolerance * Math.Max(1, Math.Abs(expected[i])), $"value {i}");
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static string FixturePath(string file) => Path.Combine(AppContext.BaseDirectory, "Fixtures", file);
}
