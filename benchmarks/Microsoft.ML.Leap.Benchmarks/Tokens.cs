using System.CommandLine;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "tokens": prints the ids of each line of a file, to be compared with another tokenizer's.</summary>
internal static class TokensCommand
{
    public static System.CommandLine.Command Create()
    {
        var tokenizer = new Option<string>("--tokenizer") { Description = "t5 or gpt2", Required = true };
        tokenizer.AcceptOnlyFromAmong("t5", "gpt2");
        var model = new Option<DirectoryInfo>("--model")
        {
            Description = "Folder of spiece.model (t5), or of encoder.json and vocab.bpe or vocab.json and merges.txt (gpt2)",
            Required = true,
        };
        model.AcceptExistingOnly();
        var literals = new Option<bool>("--literals")
        {
            Description = "Take <unk> and <extra_id_0> ... (t5) or <|endoftext|> (gpt2) in the text as single tokens, " +
                "as the Hugging Face tokenizers do",
        };
        var file = new Argument<FileInfo>("file")
        {
            Description = "Text in UTF-8, lines ended by LF; unpacked where its name ends with .gz",
        };
        file.AcceptExistingOnly();

        var command = new System.CommandLine.Command("tokens", "Print the token ids of each line of a file, a line each.")
        {
            tokenizer, model, literals, file,
        };
        command.SetAction(result => Print(
            LoadTokenizer(result.GetRequiredValue(tokenizer), result.GetRequiredValue(model).FullName, result.GetValue(literals)),
            result.GetRequiredValue(file).FullName));
        return command;
    }

    private static LeapTokenizer LoadTokenizer(string name, string folder, bool useLiterals)
    {
        Dictionary<string, int>? literals = useLiterals ? null : [];
        int? sentinelCount = useLiterals ? null : 0;
        string vocabulary = Path.Combine(folder, "vocab.json");
        TokenizerOptions options = (name, File.Exists(vocabulary)) switch
        {
            ("t5", _) => TokenizerOptions.SentencePiece(Path.Combine(folder, "spiece.model"), literals, sentinelCount: sentinelCount),
            (_, true) => TokenizerOptions.Gpt2(vocabulary, Path.Combine(folder, "merges.txt"), literals),
            _ => TokenizerOptions.Gpt2(Path.Combine(folder, "encoder.json"), Path.Combine(folder, "vocab.bpe"), literals),
        };
        return options.Create([], CancellationToken.None);
    }

    private static void Print(LeapTokenizer tokenizer, string path)
    {
        using var writer = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 16);

        var ids = new List<int>();
        foreach (string line in TextFile.ReadLines(path))
        {
            ids.Clear();
            tokenizer.Encode(line, ids);
            writer.Write(string.Join(' ', ids.Select(id => id.ToString(CultureInfo.InvariantCulture))));
            writer.Write('\n');
        }
    }
}
