using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>A model's files: the network's shape and weights, and the tokenizer's own.</summary>
internal static class ModelFiles
{
    public static void Write(IModelTarget target, LeapModel model, LeapTokenizer tokenizer)
    {
        target.Write(ModelFileNames.Config, stream => ConfigJson.Write(stream, model.Config));
        target.Write(ModelFileNames.Weights, stream => Checkpoint.Write(stream, model.Config, WeightsByName(model)));
        tokenizer.Save(target.Write);
    }

    /// <summary>Reads a model. The weights' file is compared with the configuration before the network is built.</summary>
    /// <exception cref="FormatException">A file is corrupt, or the files do not fit together.</exception>
    public static (LeapModel Model, LeapTokenizer Tokenizer) Read(IModelSource source, Device device)
    {
        LeapConfig config = source.Read(ModelFileNames.Config, stream => ConfigJson.Read(stream));
        LeapTokenizer tokenizer = LeapTokenizer.Load(name => source.Contains(name) ? source.Read(name, Copy) : null);
        if (tokenizer.VocabularySize > config.VocabularySize)
        {
            throw new FormatException(
                $"{ModelFileNames.Config}: the network knows {config.VocabularySize} token ids, but the tokenizer has {tokenizer.VocabularySize}.");
        }

        return (source.Read(ModelFileNames.Weights, stream => ReadWeights(stream, config, device)), tokenizer);
    }

    private static LeapModel ReadWeights(Stream stream, LeapConfig config, Device device)
    {
        var reader = new CheckpointReader(stream, stream.Length, config);
        var model = new LeapModel(config, device, seed: 0);
        try
        {
            using var noGradients = no_grad();
            reader.ReadInto(WeightsByName(model));
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static Dictionary<string, Tensor> WeightsByName(LeapModel model) =>
        model.Weights.ToDictionary(weight => weight.Name, weight => (Tensor)weight.Weight);

    // The tokenizer keeps its streams open longer than a source does.
    private static MemoryStream Copy(Stream stream) =>
        new(BoundedStream.ReadAll(stream, TokenizerFiles.MaximumLength, "tokenizer"));
}
