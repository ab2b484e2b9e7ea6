namespace Microsoft.ML.Leap;

/// <summary>A row of <see cref="FocusReport.ToDataView"/>: one token in one head.</summary>
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

    public static IEnumerable<FocusRow> Of(FocusReport report) =>
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
            Surprise = (float)token.Surprise,
        };
}
