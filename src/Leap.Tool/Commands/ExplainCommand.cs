using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Spectre.Console;

namespace Leap.Tool;

/// <summary><c>leap explain</c>: how well a model predicts each token of a text, and what it focuses on.</summary>
internal static class ExplainCommand
{
    private const int StrangestWords = 8;

    // Bits of surprise from which on a token has the next colour: the probability falls to a half with each bit.
    private static readonly (double Bits, string Style)[] Styles =
        [(12, "black on red"), (8, "black on orange1"), (5, "black on yellow"), (2, "black on lightyellow3"), (double.NegativeInfinity, "default")];

    public static Command Create()
    {
        var command = new Command(
            "explain",
            """
            Shows how well the model predicts each token of a text: in the terminal by colour, as a page with all that it focused on in a file.

            Examples:
              leap explain model.zip "Your order 7 is delayed, we are bananas."
              leap explain model.zip "Your order 7 is delayed." -o focus.html
              leap explain model.zip "Your order 7 is delayed." -o focus.svg
              leap explain model.zip - --json < letter.txt
            """);
        var model = new ModelOptions();
        var text = new Argument<string>("TEXT") { Description = "The text, shorter than the model's context; - for standard input." };
        var output = new Option<string?>("--output", "-o") { Description = "The file to write: .html, .svg or .json.", HelpName = "FILE" };
        var json = new Option<bool>("--json") { Description = "Writes the report as JSON." };
        model.AddTo(command);
        command.Add(text);
        command.Add(output);
        command.Add(json);
        command.SetAction((parsed, cancellationToken) => Task.Run(
            () =>
            {
                string given = parsed.GetRequiredValue(text);
                if (given == InputFile.StandardInput)
                    given = Console.In.ReadToEnd().TrimEnd('\r', '\n');
                string? path = parsed.GetValue(output);
                string kind = path is null ? "" : Path.GetExtension(path);
                if (kind is not ("" or ".html" or ".svg" or ".json"))
                    throw new UsageException($"{path} must end with .html, .svg or .json.");
                if (path is not null)
                {
                    OutputPath.RequireFile(path);
                    OutputPath.RequireOther(path, model.GetPath(parsed));
                }

                using LeapLanguageModel loaded = model.Load(parsed);
                FocusReport report = loaded.Explain(given);
                if (path is not null)
                    Write(report, path, kind);
                else if (parsed.GetValue(json))
                    parsed.InvocationConfiguration.Output.WriteLine(report.ToJson());
                else
                    Show(report, parsed.InvocationConfiguration.Output);
            },
            cancellationToken));
        return command;
    }

    private static void Write(FocusReport report, string path, string kind)
    {
        using OutputFile file = OutputFile.Create(path);
        file.Text.Write(kind switch
        {
            ".svg" => report.ToSvg(),
            ".json" => report.ToJson(),
            _ => report.ToHtml(),
        });
        file.Complete();
    }

    private static void Show(FocusReport report, TextWriter output)
    {
        IAnsiConsole console = Terminal.Open(output);
        FocusToken[] tokens = [.. report.Tokens.Where(token => !token.IsStart)];
        var markup = new StringBuilder();
        foreach (FocusToken token in tokens.Where(token => token.Length > 0))
            markup.Append(CultureInfo.InvariantCulture, $"[{FindStyle(GetBits(token))}]{Markup.Escape(report.Text.Substring(token.Start, token.Length))}[/]");
        console.MarkupLine(markup.ToString());
        if (tokens.Length == 0)
            return;

        double nats = -tokens.Sum(token => token.LogLikelihood);
        console.WriteLine();
        console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"perplexity {Math.Exp(nats / tokens.Length):0.00} per token, {nats / Math.Log(2) / Encoding.UTF8.GetByteCount(report.Text):0.000} bits per byte, {tokens.Length} tokens"));
        var table = new Table().Border(TableBorder.Simple).AddColumns("surprise (bits)", "word", "at character");
        foreach ((int start, string word, double bits) in FindWords(report.Text, tokens).OrderByDescending(word => word.Bits).Take(StrangestWords))
            table.AddRow(bits.ToString("0.0", CultureInfo.InvariantCulture), Markup.Escape($"'{word}'"), start.ToString(CultureInfo.InvariantCulture));
        console.Write(table);
    }

    // What stands between white space; the tokens that begin in a word add up. One that begins with a space belongs to the word after it.
    private static IEnumerable<(int Start, string Word, double Bits)> FindWords(string text, IReadOnlyList<FocusToken> tokens)
    {
        int next = 0;
        foreach (Match match in Regex.Matches(text, @"\S+"))
        {
            int end = match.Index + match.Length;
            double bits = 0;
            for (; next < tokens.Count && tokens[next].Start < end; next++)
                bits += GetBits(tokens[next]);
            yield return (match.Index, text.Substring(match.Index, match.Length), bits);
        }
    }

    private static double GetBits(FocusToken token) => -token.LogLikelihood / Math.Log(2);

    private static string FindStyle(double bits) => Styles.First(style => bits >= style.Bits).Style;
}
