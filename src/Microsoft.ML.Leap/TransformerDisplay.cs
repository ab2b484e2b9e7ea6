using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>Shows a <see cref="LeapLanguageModelTransformer"/>: a table of what it is, and how it was trained. Reads no tensor.</summary>
internal sealed class TransformerDisplay : HtmlDisplay<LeapLanguageModelTransformer>
{
    private const int ShownLiterals = 8;

    protected override string Draw(LeapLanguageModelTransformer value)
    {
        LeapConfig config = value.Config;
        string table = HtmlTable.Draw(
        [
            ("Layers", DisplayText.Count(config.LayerCount)),
            ("Hidden size", DisplayText.Count(config.HiddenSize)),
            ("Heads", $"{config.HeadCount}, of size {config.HeadSize}"),
            ("Focus", $"of {config.FocusSize} values per head"),
            ("Windows", Windows(config)),
            ("Context length", $"{DisplayText.Count(config.ContextLength)} tokens"),
            ("Convolutions", config.ConvolutionSize == 0 ? "none" : $"of {config.ConvolutionSize} tokens"),
            ("Learned positions", config.UsePositionEmbeddings ? "yes" : "no"),
            ("Parameters", $"{DisplayText.Count(config.ParameterCount)} in single precision; the tied output matrix counts once"),
            ("Tokenizer", $"{value.Tokenizer.Kind}, vocabulary of {DisplayText.Count(value.Tokenizer.VocabularySize)}"),
            ("Special literals", Literals(value.Tokenizer.SpecialLiterals)),
            ("Text column", value.TextColumnName),
            ("Outputs", string.Join(", ", value.OutputColumns.Select(column => $"{column.Name} ({column.Type})"))),
            ("Device", value.DeviceName ?? "none: the model is disposed"),
        ]);
        return $"<div>{table}{(value.History.Records.Count > 0 ? HistoryDisplay.Html(value.History) : "")}</div>";
    }

    // Neighbours with the same window together: a network may have many layers.
    private static string Windows(LeapConfig config)
    {
        if (config.UseForgetGates)
            return "none: forget gates";
        List<(int Window, int Count)> runs = [];
        foreach (int window in config.WindowSizes.Select(window => Math.Min(window, config.ContextLength)))
        {
            if (runs.Count > 0 && runs[^1].Window == window)
                runs[^1] = (window, runs[^1].Count + 1);
            else
                runs.Add((window, 1));
        }

        return string.Join(", ", runs.Select(run =>
            (run.Window == config.ContextLength ? "global" : run.Window.ToString(CultureInfo.InvariantCulture)) +
            (run.Count > 1 ? $" ({run.Count} layers)" : "")));
    }

    private static string Literals(IReadOnlyDictionary<string, int> literals)
    {
        if (literals.Count == 0)
            return "none";
        string shown = string.Join(", ", literals.OrderBy(literal => literal.Value).Take(ShownLiterals).Select(literal => literal.Key));
        return literals.Count > ShownLiterals ? $"{shown} and {literals.Count - ShownLiterals} more" : shown;
    }
}
