using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace Leap.Tool;

/// <summary><c>leap evaluate</c>: how well a model predicts the texts of files, by a protocol.</summary>
internal static class EvaluateCommand
{
    private enum Protocol
    {
        Rows,
        Rolling,
        Notebook,
    }

    public static Command Create()
    {
        var command = new Command(
            "evaluate",
            """
            Measures how well the model predicts the texts of files: perplexity, bits per byte, and those of counted models beside them.

            Examples:
              leap evaluate model.zip held-out.txt
              leap evaluate model.zip wiki.valid.tokens --protocol notebook
              leap evaluate model.zip book.txt --document --mode streaming --end-of-text scored
            """);
        var model = new ModelOptions();
        var rows = new RowOptions();
        var protocol = new Option<Protocol>("--protocol")
        {
            Description = "rows (each text by itself, the default), rolling (that of lm-evaluation-harness) or notebook (that of LEAP's original).",
            HelpName = "NAME",
        };
        var mode = new Option<EvaluationMode?>("--mode") { Description = "disjoint, strided or streaming: what a token of a long text is predicted from.", HelpName = "NAME" };
        var block = new Option<int?>("--block") { Description = "The most tokens that the network reads in one pass.", HelpName = "N" };
        var stride = new Option<int?>("--stride") { Description = "Tokens that each block moves on; with --mode strided.", HelpName = "N" };
        var endOfText = new Option<EndOfTextHandling?>("--end-of-text") { Description = "separateDocuments, scored or notScored: whether texts are joined.", HelpName = "NAME" };
        var json = new Option<bool>("--json") { Description = "Writes the figures as JSON." };
        model.AddTo(command);
        rows.AddTo(command);
        foreach (Option option in (Option[])[protocol, mode, block, stride, endOfText, json])
            command.Add(option);
        command.SetAction((parsed, cancellationToken) => Task.Run(
            () =>
            {
                EvaluationOptions options = parsed.GetValue(protocol) switch
                {
                    Protocol.Rolling => EvaluationOptions.RollingDocuments,
                    Protocol.Notebook => EvaluationOptions.LeapNotebook,
                    _ => new EvaluationOptions(),
                };
                options = options with
                {
                    Mode = parsed.GetValue(mode) ?? options.Mode,
                    BlockLength = parsed.GetValue(block) ?? options.BlockLength,
                    Stride = parsed.GetValue(stride) ?? options.Stride,
                    EndOfText = parsed.GetValue(endOfText) ?? options.EndOfText,
                };
                RowReader reader = rows.Open(parsed);
                using LeapLanguageModel loaded = model.Load(parsed);
                LanguageModelMetrics metrics = loaded.Evaluate(reader.Read().Select(row => row.Text ?? ""), options, cancellationToken);
                if (parsed.GetValue(json))
                    parsed.InvocationConfiguration.Output.WriteLine(JsonSerializer.Serialize(GetFigures(metrics).ToDictionary(each => each.Name, each => Finite(each.Value)), InfoCommand.Json));
                else
                    Show(metrics, parsed.InvocationConfiguration.Output);
            },
            CancellationToken.None));
        return command;
    }

    private static (string Name, string Label, double Value)[] GetFigures(LanguageModelMetrics metrics) =>
    [
        ("perplexity", "perplexity per token", metrics.Perplexity),
        ("wordPerplexity", "perplexity per word", metrics.WordPerplexity),
        ("bitsPerByte", "bits per byte", metrics.BitsPerByte),
        ("unigramPerplexity", "perplexity of counted tokens", metrics.UnigramPerplexity),
        ("bigramPerplexity", "perplexity of counted pairs", metrics.BigramPerplexity),
        ("crossEntropy", "nats per token", metrics.CrossEntropy),
        ("logLikelihood", "log-likelihood (nats)", metrics.LogLikelihood),
        ("documents", "texts", metrics.DocumentCount),
        ("tokens", "tokens", metrics.TokenCount),
        ("words", "words", metrics.WordCount),
        ("bytes", "bytes", metrics.ByteCount),
    ];

    private static void Show(LanguageModelMetrics metrics, TextWriter output)
    {
        var table = new Table().Border(TableBorder.None).HideHeaders().AddColumns("", "");
        table.Columns[1].RightAligned();
        foreach ((_, string label, double value) in GetFigures(metrics).Where(each => double.IsFinite(each.Value)))
            table.AddRow(label, value.ToString(value == Math.Floor(value) ? "N0" : value < 10 ? "0.0000" : "N2", CultureInfo.InvariantCulture));
        Terminal.Open(output).Write(table);
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
