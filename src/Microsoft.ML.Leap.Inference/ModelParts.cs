namespace Microsoft.ML.Leap;

/// <summary>What a model is made of: its network's shape and weights, its tokenizer, and what was counted in its training texts, if it
/// was kept.</summary>
/// <param name="Config">The network's shape.</param>
/// <param name="Weights">The weights by name, in single precision and row-major order.</param>
/// <param name="Tokenizer">The tokenizer.</param>
/// <param name="Counts">How often each token followed each other in the training texts, to compare with.</param>
/// <param name="Memory">The counted n-grams that predict beside the network.</param>
internal sealed record ModelParts(
    LeapConfig Config, IReadOnlyDictionary<string, float[]> Weights, LeapTokenizer Tokenizer, BigramCounts? Counts = null,
    ModelMemory? Memory = null)
{
    /// <summary>Writes the model's files, without the counts to compare with.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="format">How the matrices are stored.</param>
    public void Write(IModelTarget target, WeightFormat format = WeightFormat.Float32)
    {
        target.Write(ModelFileNames.Config, stream => ConfigJson.Write(stream, Config));
        target.Write(ModelFileNames.Weights, stream => Checkpoint.Write(stream, Config, Weights, format));
        Tokenizer.Save(target.Write);
        if (Memory is not null)
            target.Write(ModelFileNames.Memory, Memory.Write);
    }

    /// <summary>Reads a model's files.</summary>
    /// <exception cref="FormatException">A file is corrupt, or the files do not fit together.</exception>
    public static ModelParts Read(IModelSource source)
    {
        LeapConfig config = source.Read(ModelFileNames.Config, stream => ConfigJson.Read(stream));
        LeapTokenizer tokenizer = LeapTokenizer.Load(name => source.Contains(name) ? source.Read(name, Copy) : null);
        if (tokenizer.VocabularySize > config.VocabularySize)
        {
            throw new FormatException(
                $"{ModelFileNames.Config}: the network knows {config.VocabularySize} token ids, but the tokenizer has {tokenizer.VocabularySize}.");
        }

        BigramCounts? counts = source.Contains(BigramCounts.FileName) ? source.Read(BigramCounts.FileName, BigramCounts.Read) : null;
        if (counts is not null && counts.VocabularySize != tokenizer.VocabularySize)
        {
            throw new FormatException(
                $"{BigramCounts.FileName}: the counts are of {counts.VocabularySize} token ids, but the tokenizer has {tokenizer.VocabularySize}.");
        }

        ModelMemory? memory = source.Contains(ModelFileNames.Memory)
            ? source.Read(ModelFileNames.Memory, stream => ModelMemory.Read(stream, stream.Length, tokenizer))
            : null;
        return new ModelParts(
            config, source.Read(ModelFileNames.Weights, stream => Checkpoint.Read(stream, stream.Length, config)), tokenizer, counts, memory);
    }

    // The tokenizer keeps its streams open longer than a source does.
    private static MemoryStream Copy(Stream stream) => new(TokenizerFiles.ReadAll(stream, "tokenizer"));
}
