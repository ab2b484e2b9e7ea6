using static Microsoft.ML.Leap.Fuzz.ProtocolBuffers;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Small tokenizers, and their files in memory.</summary>
internal static class TokenizerFixture
{
    public static readonly string[] HardTexts =
    [
        "", " ", "  two  spaces  ", "a\tb", "a\nb\n", "a\r\nb\r\n\r\n", "it's we'll they'RE 'tis", "naïve café", "日本語。",
        "\u0000\u001f\u007f",
        "😀👩‍👩‍👧 𝒜b𠀀c", "e\u0301 \u00a0\u2003x\u3000", "<|endoftext|>",
        "\uFEFFbom", "1234567890 ½ ⅷ", "#version: 0.2", "Ġ Ċ Ā ▁",
    ];

    public static LeapTokenizer Learn(int vocabularySize, params string[] texts) =>
        TokenizerOptions.ByteLevelBpe(vocabularySize).Create(texts.Select(t => t.AsMemory()), CancellationToken.None);

    public static Dictionary<string, byte[]> Save(LeapTokenizer tokenizer)
    {
        var files = new Dictionary<string, byte[]>();
        tokenizer.Save((name, write) =>
        {
            using var stream = new MemoryStream();
            write(stream);
            files.Add(name, stream.ToArray());
        });
        return files;
    }

    public static LeapTokenizer Load(IReadOnlyDictionary<string, byte[]> files) =>
        LeapTokenizer.Load(name => files.TryGetValue(name, out byte[]? content) ? new MemoryStream(content) : null);

    /// <summary>Writes a unigram SentencePiece model: unknown 0, then the control pieces, then the given pieces, the likeliest first.</summary>
    public static byte[] WriteSentencePieceModel(int beginningId, int endId, params string[] pieces) =>
        WriteSentencePieceModel(beginningId, endId, [.. pieces.Select((piece, i) => (piece, -1f - i))]);

    /// <summary>Writes a unigram SentencePiece model with these scores.</summary>
    public static byte[] WriteSentencePieceModel(int beginningId, int endId, (string Text, float Score)[] pieces)
    {
        var file = new MemoryStream();
        WriteField(file, 1, WritePiece("<unk>", 0, type: 2));
        if (beginningId >= 0)
            WriteField(file, 1, WritePiece("<s>", 0, type: 3));
        WriteField(file, 1, WritePiece("</s>", 0, type: 3));
        foreach ((string text, float score) in pieces)
            WriteField(file, 1, WritePiece(text, score, type: 1));

        var trainer = new MemoryStream();
        WriteNumber(trainer, 3, 1);
        WriteNumber(trainer, 40, 0);
        WriteNumber(trainer, 41, beginningId);
        WriteNumber(trainer, 42, endId);
        WriteNumber(trainer, 43, -1);
        WriteField(file, 2, trainer.ToArray());
        WriteField(file, 3, []);
        return file.ToArray();
    }
}
