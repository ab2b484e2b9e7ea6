namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The files of a model that the engine reads.</summary>
internal static class ModelTargets
{
    private static readonly LeapTokenizer _bytes = SeedModel.Bytes();
    private static readonly LeapLanguageModel _model = SeedModel.Load();

    // With learned positions a state can be full.
    private static readonly LeapLanguageModel _positions = new(
        SeedModel.CreateParts(new LeapConfig(257, 4, 8, 1, 1)), SeedModel.Options);

    /// <summary>Gets the names that a folder may have.</summary>
    public static readonly string[] FolderNames =
    [
        ModelFileNames.Config, ModelFileNames.Weights, ModelFileNames.Memory, ModelFileNames.Manifest, TokenizerSettings.FileName,
        BytePairFiles.VocabularyName, BytePairFiles.MergesName, SentencePieceLeapTokenizer.ModelName, BigramCounts.FileName,
    ];

    public static FuzzTarget[] All { get; } =
    [
        new("config", "config.json", input => ReadFile(ModelFileNames.Config, input)) { Mutations = 3000 },
        new("weights", "model.safetensors", input => ReadFile(ModelFileNames.Weights, input)),
        new("memory", "memory.safetensors", input => ReadFile(ModelFileNames.Memory, input)),
        new("counts", "bigrams.bin", input => ReadFile(BigramCounts.FileName, input)),
        new("manifest", "leap.manifest, beside the files of a model", ReadManifest) { Mutations = 3000 },
        new("folder", "a model's folder: its files, each after a line '@@ name'", ReadFolder),
        new("zip", "a zip of mlContext.Model.Save", ReadZip),
        new("state", "a saved GenerationState", ReadState) { Mutations = 3000 },
    ];

    /// <summary>Makes a state of the model that the target reads states of.</summary>
    public static byte[] WriteState(string text, PositionPolicy policy, bool usePositions)
    {
        using GenerationState state = (usePositions ? _positions : _model).CreateGenerationState(text, policy);
        using var stream = new MemoryStream();
        state.Save(stream);
        return [(byte)(usePositions ? 1 : 0), .. stream.ToArray()];
    }

    private static void ReadFile(string name, byte[] input)
    {
        using LeapLanguageModel model = LeapLanguageModel.Read(MemoryFiles.With(SeedModel.Files, name, input), SeedModel.Options);
        Use.Model(model);
    }

    private static void ReadManifest(byte[] input)
    {
        using var folder = new ScratchFolder();
        folder.Write(MemoryFiles.Put(SeedModel.Files, ModelFileNames.Manifest, input));
        using LeapLanguageModel model = LeapLanguageModel.Load(folder.Path, SeedModel.Options);
        Use.Continue(model);
    }

    private static void ReadFolder(byte[] input)
    {
        using var folder = new ScratchFolder();
        folder.Write(Bundle.Read(input, FolderNames));
        try
        {
            using LeapLanguageModel model = LeapLanguageModel.Load(folder.Path, SeedModel.Options);
            Use.Tokenizer(model.Tokenizer);
            Use.Model(model);
            using var saved = new ScratchFolder();
            model.Save(saved.Path);
            using LeapLanguageModel again = LeapLanguageModel.Load(saved.Path, SeedModel.Options);
        }
        catch (FileNotFoundException e)
        {
            // Documented: a needed file is not there.
            throw new FormatException(e.Message, e);
        }
    }

    private static void ReadZip(byte[] input)
    {
        try
        {
            using LeapLanguageModel model = LeapLanguageModel.Load(new MemoryStream(input), SeedModel.Options);
            Use.Model(model);
        }
        catch (InvalidOperationException e) when (e.Message.StartsWith("The zip holds ", StringComparison.Ordinal))
        {
            // Documented: there are several models.
            throw new FormatException(e.Message, e);
        }
    }

    // The first byte says which model the state is of.
    private static void ReadState(byte[] input)
    {
        LeapLanguageModel model = input.Length > 0 && input[0] == 1 ? _positions : _model;
        using GenerationState state = model.LoadGenerationState(new MemoryStream(input, Math.Min(1, input.Length), Math.Max(0, input.Length - 1)));
        Use.State(model, state, new GenerationOptions { MaximumNewTokens = 12, Seed = 1 });
    }
}
