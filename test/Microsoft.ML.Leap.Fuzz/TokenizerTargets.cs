namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The files of each kind of tokenizer.</summary>
internal static class TokenizerTargets
{
    private const string RanksName = "cl100k_base.tiktoken";

    private static readonly Dictionary<string, byte[]> _files = TokenizerSeeds.Files;

    public static FuzzTarget[] All { get; } =
    [
        new("tokenizer-settings", "tokenizer_config.json, beside the files of each kind",
            input => Read(MemoryFiles.With(_files, TokenizerSettings.FileName, input))) { Mutations = 3000 },
        new("byte-pair", "vocab.json and merges.txt, each after a line '@@ name'",
            input => Read(new MemoryFiles(Bundle.Read(input, [BytePairFiles.VocabularyName, BytePairFiles.MergesName, TokenizerSettings.FileName])))),
        new("tiktoken", "a .tiktoken file", input => Read(MemoryFiles.With(_files, RanksName, input), TokenizerSettings.Tiktoken)),
        new("sentencepiece", "spiece.model", input => Read(MemoryFiles.With(_files, SentencePieceLeapTokenizer.ModelName, input), TokenizerSettings.SentencePiece)),
    ];

    private static void Read(MemoryFiles files) => Use.Tokenizer(LeapTokenizer.Load(files.Open));

    private static void Read(MemoryFiles files, string kind) =>
        Use.Tokenizer(LeapTokenizer.Load(name => name == TokenizerSettings.FileName ? new MemoryStream(TokenizerSeeds.Settings(kind)) : files.Open(name)));
}
