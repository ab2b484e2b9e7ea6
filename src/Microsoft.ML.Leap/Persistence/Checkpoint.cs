using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What a checkpoint of a network holds: the names are those of the Python original.</summary>
internal static class Checkpoint
{
    /// <summary>The token embeddings, [V, d], which are the output matrix too.</summary>
    public const string WordEmbedding = "word_embedding.weight";

    /// <summary>The output matrix under a name of its own. The original may store it, equal to the embeddings; this package never does.</summary>
    public const string TiedOutput = "proj_logits.weight";

    /// <summary>Names every tensor of a network and gives its shape.</summary>
    public static Dictionary<string, long[]> ExpectedShapes(LeapConfig config)
    {
        long d = config.HiddenSize;
        long inner = 4 * d;
        var shapes = new Dictionary<string, long[]>(StringComparer.Ordinal)
        {
            [WordEmbedding] = [config.VocabularySize, d],
            ["proj_logits.bias"] = [config.VocabularySize],
            ["last_norm.weight"] = [d],
            ["last_norm.bias"] = [d],
        };
        if (config.UsePositionEmbeddings)
            shapes["leap_model.position_embeddings.weight"] = [config.ContextLength, d];
        for (int l = 0; l < config.LayerCount; l++)
        {
            string block = $"leap_model.decoders.{l}.";
            foreach (string norm in (ReadOnlySpan<string>)["pre_norm", "boom_norm"])
            {
                shapes[$"{block}{norm}.weight"] = [d];
                shapes[$"{block}{norm}.bias"] = [d];
            }

            shapes[block + "projections.weight"] = [4 * d, d];
            shapes[block + "boom.weight"] = [inner, d];
            shapes[block + "unboom.weight"] = [d, inner];
        }

        return shapes;
    }

    /// <summary>Writes a network's tensors as a safetensors file.</summary>
    /// <param name="stream">Where to. It stays open.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="parameters">Its tensors by name, on any device, each once.</param>
    /// <exception cref="ArgumentException">The tensors are not those that a network of this shape has.</exception>
    public static void Write(Stream stream, LeapConfig config, IReadOnlyDictionary<string, Tensor> parameters)
    {
        string? fault = FindFault(ExpectedShapes(config), parameters.ToDictionary(pair => pair.Key, pair => pair.Value.shape));
        if (fault is not null)
            throw new ArgumentException(fault, nameof(parameters));
        SafeTensorsWriter.Write(stream, parameters);
    }

    /// <summary>Compares what there is with what must be.</summary>
    /// <returns>The first difference in words; <see langword="null"/> for none.</returns>
    public static string? FindFault(Dictionary<string, long[]> expected, Dictionary<string, long[]> got)
    {
        foreach ((string name, long[] shape) in expected)
        {
            if (!got.TryGetValue(name, out long[]? actual))
                return $"Tensor '{name}' of shape [{string.Join(", ", shape)}] is missing.";
            if (!shape.AsSpan().SequenceEqual(actual))
                return $"Tensor '{name}' must have the shape [{string.Join(", ", shape)}], but has [{string.Join(", ", actual)}].";
        }

        foreach (string name in got.Keys)
        {
            if (!expected.ContainsKey(name))
                return $"Tensor '{name}' does not belong to a network of this configuration.";
        }

        return null;
    }
}
