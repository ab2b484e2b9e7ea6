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

    /// <summary>Reads a model's files, the large ones beside the others.</summary>
    /// <param name="source">The files.</param>
    /// <exception cref="FormatException">A file is corrupt, or the files do not fit together.</exception>
    public static ModelParts Read(IModelSource source)
    {
        var (config, weights, tokenizer, counts, memory) = Read(source, (stream, config) => Checkpoint.Read(stream, stream.Length, config));
        return new ModelParts(config, weights, tokenizer, counts, memory);
    }

    /// <inheritdoc cref="Read(IModelSource)"/>
    /// <param name="source">The files.</param>
    /// <param name="readNetwork">Reads the weights of a network of a shape, on another thread where there is one.</param>
    public static (LeapConfig Config, T Network, LeapTokenizer Tokenizer, BigramCounts? Counts, ModelMemory? Memory) Read<T>(
        IModelSource source, Func<Stream, LeapConfig, T> readNetwork)
    {
        Task<Func<LeapTokenizer, ModelMemory>>? memory = null;
        Task<T>? network = null;
        try
        {
            if (source.Contains(ModelFileNames.Memory))
                memory = source.ReadAside(ModelFileNames.Memory, stream => ModelMemory.Read(stream, stream.Length));
            LeapConfig config = source.Read(ModelFileNames.Config, stream => ConfigJson.Read(stream));
            network = source.ReadAside(ModelFileNames.Weights, stream => readNetwork(stream, config));
            LeapTokenizer tokenizer = ReadTokenizer(source, config);
            BigramCounts? counts = ReadCounts(source, tokenizer);

            // The memory is made while the weights are still being read, which takes longer.
            ModelMemory? ngrams = memory?.GetAwaiter().GetResult()(tokenizer);
            return (config, network.GetAwaiter().GetResult(), tokenizer, counts, ngrams);
        }
        finally
        {
            SpareThread.WaitForEnd(network);
            SpareThread.WaitForEnd(memory);
        }
    }

    private static LeapTokenizer ReadTokenizer(IModelSource source, LeapConfig config)
    {
        LeapTokenizer tokenizer = LeapTokenizer.Load(name => source.Contains(name) ? source.Read(name, Copy) : null);
        if (tokenizer.VocabularySize > config.VocabularySize)
        {
            throw new FormatException(
                $"{ModelFileNames.Config}: the network knows {config.VocabularySize} token ids, but the tokenizer has {tokenizer.VocabularySize}.");
        }

        return tokenizer;
    }

    private static BigramCounts? ReadCounts(IModelSource source, LeapTokenizer tokenizer)
    {
        BigramCounts? counts = source.Contains(BigramCounts.FileName) ? source.Read(BigramCounts.FileName, BigramCounts.Read) : null;
        if (counts is not null && counts.VocabularySize != tokenizer.VocabularySize)
        {
            throw new FormatException(
                $"{BigramCounts.FileName}: the counts are of {counts.VocabularySize} token ids, but the tokenizer has {tokenizer.VocabularySize}.");
        }

        return counts;
    }

    // The tokenizer keeps its streams open longer than a source does those of large files.
    private static MemoryStream Copy(Stream stream) => stream as MemoryStream ?? new(TokenizerFiles.ReadAll(stream, "tokenizer"));
}
