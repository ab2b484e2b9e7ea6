namespace Microsoft.ML.Leap;

/// <summary>Reads a tokenizer from a model's files or from a folder in the Hugging Face layout.</summary>
internal static class TokenizerLoader
{
    private static readonly (string Vocabulary, string Merges)[] BytePairNames =
        [(BytePairFiles.VocabularyName, BytePairFiles.MergesName), ("encoder.json", "vocab.bpe")];

    public static LeapTokenizer Load(Func<string, Stream?> open)
    {
        byte[]? settingsFile = TokenizerFiles.TryRead(open, TokenizerSettings.FileName);
        TokenizerSettings? settings = settingsFile is null ? null : TokenizerSettings.Read(settingsFile);
        try
        {
            return settings is null ? LoadForeign(open) : LoadOwn(settings, open);
        }
        catch (ArgumentException e)
        {
            throw new FormatException($"The tokenizer's settings do not fit its vocabulary: {e.Message}", e);
        }
    }

    public static BytePairTokenizer CreateGpt2(
        byte[] vocabularyFile, byte[] mergesFile, IReadOnlyDictionary<string, int>? specialLiterals, bool endTokenAfterEachLine)
    {
        BytePairVocabulary vocabulary = BytePairFiles.Read(vocabularyFile, mergesFile, endOfTextId: null);
        var settings = new TokenizerSettings(TokenizerSettings.ByteLevelBpe, vocabulary.EndOfTextId)
        {
            SpecialLiterals = specialLiterals ?? new Dictionary<string, int> { [BytePairVocabulary.EndOfText] = vocabulary.EndOfTextId },
            EndTokenAfterEachLine = endTokenAfterEachLine,
        };
        return new BytePairTokenizer(settings, vocabulary);
    }

    private static LeapTokenizer LoadOwn(TokenizerSettings settings, Func<string, Stream?> open)
    {
        switch (settings.Kind)
        {
            case TokenizerSettings.Bytes:
                return new ByteTokenizer(settings);
            case TokenizerSettings.ByteLevelBpe:
                byte[] vocabulary = TokenizerFiles.Read(open, BytePairFiles.VocabularyName);
                byte[] merges = TokenizerFiles.Read(open, BytePairFiles.MergesName);
                return new BytePairTokenizer(settings, BytePairFiles.Read(vocabulary, merges, settings.EndOfTextId));
            case TokenizerSettings.SentencePiece:
                byte[] model = TokenizerFiles.Read(open, SentencePieceLeapTokenizer.ModelName);
                return SentencePieceLeapTokenizer.Create(
                    model, settings.SpecialLiterals, settings.EndTokenAfterEachLine, settings.SentinelCount);
            case TokenizerSettings.Tiktoken:
                TiktokenEncoding encoding = TiktokenEncoding.Find(settings.EncodingName) ?? throw new FormatException(
                    $"The tokenizer uses the tiktoken encoding '{settings.EncodingName}'; known are {TiktokenEncoding.KnownNames}.");
                byte[] ranks = TokenizerFiles.Read(open, encoding.FileName);
                return TiktokenLeapTokenizer.Create(encoding, ranks, settings.SpecialLiterals, settings.EndTokenAfterEachLine);
            default:
                throw new FormatException($"The tokenizer is of the kind '{settings.Kind}', which this version does not know.");
        }
    }

    private static LeapTokenizer LoadForeign(Func<string, Stream?> open)
    {
        if (TokenizerFiles.TryRead(open, SentencePieceLeapTokenizer.ModelName) is { } model)
            return SentencePieceLeapTokenizer.Create(model, specialLiterals: null, endTokenAfterEachLine: false, sentinelCount: null);

        foreach ((string vocabulary, string merges) in BytePairNames)
        {
            if (TokenizerFiles.TryRead(open, vocabulary) is { } file)
                return CreateGpt2(file, TokenizerFiles.Read(open, merges), specialLiterals: null, endTokenAfterEachLine: false);
        }

        throw new FormatException(
            $"There is no tokenizer: expected {SentencePieceLeapTokenizer.ModelName}, or " +
            string.Join(", or ", BytePairNames.Select(n => $"{n.Vocabulary} and {n.Merges}")) + ".");
    }
}

/// <summary>Reads a tokenizer's files whole, and none larger than any real vocabulary.</summary>
internal static class TokenizerFiles
{
    public const int MaximumLength = 64 << 20;

    public static byte[]? TryRead(Func<string, Stream?> open, string name)
    {
        using Stream? stream = open(name);
        return stream is null ? null : ReadAll(stream, name);
    }

    public static byte[] Read(Func<string, Stream?> open, string name) =>
        TryRead(open, name) ?? throw new FormatException($"The tokenizer's file {name} is missing.");

    public static byte[] ReadAll(Stream stream, string name) => BoundedReader.ReadAll(stream, MaximumLength, name);
}
