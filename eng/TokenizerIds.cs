#:project ../src/Microsoft.ML.Leap.Inference/Microsoft.ML.Leap.Inference.csproj
using System.Text;
using System.Text.Json;
using Microsoft.ML.Leap;

// Writes texts with their ids, a JSON object a line, for check-tokenizer-json.sh: dotnet run eng/TokenizerIds.cs -- FOLDER TEXTS...
LeapTokenizer tokenizer = LeapTokenizer.FromFolder(args[0]);
using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false));
foreach (string text in args[1..].SelectMany(File.ReadLines).Concat(OddTexts([.. tokenizer.SpecialLiterals.Keys])))
{
    output.Write($"{{\"text\":{JsonSerializer.Serialize(text, Texts.Default.String)},\"ids\":[");
    output.WriteLine($"{string.Join(',', tokenizer.Encode(text))}]}}");
}

// Pieces of text that tokenizers are known to disagree on, in random order.
static IEnumerable<string> OddTexts(string[] literals)
{
    string[] pieces =
    [
        .. literals, .. literals.Select(literal => literal[..^1]),
        " ", "  ", "\t", "\n", "\r\n", "\0", "\u001f", "\u007f", "\u0085", "\u00a0", "\u00ad", "\u200b", "\u200d", "\u2028", "\u3000", "\ufeff",
        "'s", "'S", "'", "'ll", "''", "n't", "a", "A", "the", "1", "12", "½", "ⅷ", "²", "٣", "é", "e\u0301", "ß", "日本", "한", "ไทย", "हिन्दी", "אב",
        "😀", "👩‍👩‍👧", "𝒜", "𠀀", "\U0010FFFF", "\uFFFD", "Ġ", "Ċ", "▁", ".", ",", "----", "....", "!?", "<|", "|>", "<", ">", "\\u0000", "\"", "\\", "/", "#version: 0.2",
    ];
    var random = new Random(1);
    for (int i = 0; i < 20_000; i++)
        yield return string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => pieces[random.Next(pieces.Length)]));
}

[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class Texts : System.Text.Json.Serialization.JsonSerializerContext;
