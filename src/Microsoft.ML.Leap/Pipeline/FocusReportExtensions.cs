namespace Microsoft.ML.Leap;

/// <summary>Turns what a model focused on into a data view.</summary>
public static class FocusReportExtensions
{
    /// <summary>Gives a report as a data view with one row per layer, head and token, in that order.</summary>
    /// <param name="report">The report.</param>
    /// <param name="mlContext">The context that makes the view.</param>
    /// <returns>The columns <c>Layer</c>, <c>Head</c>, <c>Token</c>, <c>TokenId</c>, <c>Start</c>, <c>Length</c> (Int32), <c>TokenText</c> (Text),
    /// <c>IsContinuation</c> (Boolean), <c>Weight</c>, <c>Gate</c>, <c>Focus</c>, <c>LogLikelihood</c> in nats and <c>Surprise</c> in bits
    /// (Single; the last two NaN for the start). Layer, head and token count from 0.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="report"/> or <paramref name="mlContext"/> is <see langword="null"/>.</exception>
    public static IDataView ToDataView(this FocusReport report, MLContext mlContext)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(mlContext);
        return mlContext.Data.LoadFromEnumerable(FocusRow.Create(report));
    }
}

/// <summary>A row of <see cref="FocusReportExtensions.ToDataView"/>: one token in one head.</summary>
internal sealed class FocusRow
{
    public int Layer { get; set; }

    public int Head { get; set; }

    public int Token { get; set; }

    public int TokenId { get; set; }

    public string TokenText { get; set; } = "";

    public int Start { get; set; }

    public int Length { get; set; }

    public bool IsContinuation { get; set; }

    public float Weight { get; set; }

    public float Gate { get; set; }

    public float Focus { get; set; }

    public float LogLikelihood { get; set; }

    public float Surprise { get; set; }

    public static IEnumerable<FocusRow> Create(FocusReport report) =>
        from layer in Enumerable.Range(0, report.LayerCount)
        from head in Enumerable.Range(0, report.HeadCount)
        from token in report.Tokens
        select new FocusRow
        {
            Layer = layer,
            Head = head,
            Token = token.Index,
            TokenId = token.Id,
            TokenText = token.Text,
            Start = token.Start,
            Length = token.Length,
            IsContinuation = token.IsContinuation,
            Weight = report.GetWeights(layer, head)[token.Index],
            Gate = report.GetGates(layer, head)[token.Index],
            Focus = report.GetFocus(layer, head)[token.Index],
            LogLikelihood = (float)token.LogLikelihood,
            Surprise = (float)token.Surprisal,
        };
}
