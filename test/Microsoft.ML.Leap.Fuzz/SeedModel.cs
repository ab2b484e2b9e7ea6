namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The tiny model whose files are seeds, and stand beside the one that a target reads.</summary>
internal static class SeedModel
{
    public const string Text = "the cat sat on the mat";

    /// <summary>Gets the network's shape: as small as one can be that has everything.</summary>
    public static LeapConfig Config { get; } =
        new(257, hiddenSize: 8, contextLength: 16, layerCount: 2, headCount: 2, windowSizes: [4, 16], usePositionEmbeddings: false, convolutionSize: 2);

    /// <summary>Gets the files, as ML.NET's zip has them, without the manifest.</summary>
    public static IReadOnlyDictionary<string, byte[]> Files { get; } = WriteFiles();

    /// <summary>Loads the model.</summary>
    public static LeapLanguageModel Load() => LeapLanguageModel.Read(new MemoryFiles(Files), Options);

    /// <summary>Gets how targets load models: on one thread, so that coverage repeats.</summary>
    public static LeapLanguageModelOptions Options { get; } = new() { ThreadCount = 1 };

    public static LeapTokenizer Bytes() => TokenizerOptions.Bytes(specialLiterals: [BytePairVocabulary.EndOfText]).Create([], CancellationToken.None);

    private static Dictionary<string, byte[]> WriteFiles()
    {
        var target = new MemoryTarget();
        CreateParts(Config).Write(target, WeightFormat.BFloat16);
        target.Write(BigramCounts.FileName, CreateParts(Config).Counts!.Write);
        return target.Files;
    }

    /// <summary>Makes a model of weights that are always the same.</summary>
    public static ModelParts CreateParts(LeapConfig config)
    {
        var random = new Random(1);
        var weights = new Dictionary<string, float[]>();
        foreach ((string name, long[] shape) in Checkpoint.GetExpectedShapes(config))
        {
            bool isNorm = name.EndsWith("norm.weight", StringComparison.Ordinal);
            float[] values = new float[shape.Aggregate((a, b) => a * b)];
            for (int i = 0; i < values.Length; i++)
                values[i] = BFloat16Bits.Widen(BFloat16Bits.Round((float)(random.NextDouble() - 0.5 + (isNorm ? 1 : 0))));
            weights.Add(name, values);
        }

        LeapTokenizer tokenizer = Bytes();
        int[] document = [.. tokenizer.Encode(Text)];
        var counts = new NGramModel(3, tokenizer.VocabularySize);
        counts.Add(document);
        var memory = new ModelMemory(NGramMemory.Create(counts, maximumBytes: 1 << 20), MemoryExponents.Default, TextGate.Default, tokenizer.EndOfTextId);
        return new ModelParts(config, weights, tokenizer, BigramCounts.Count([document], tokenizer), memory);
    }
}
