namespace Microsoft.ML.Leap;

/// <summary>Shows <see cref="LanguageModelMetrics"/>: a table.</summary>
internal sealed class MetricsDisplay : HtmlDisplay<LanguageModelMetrics>
{
    protected override string Draw(LanguageModelMetrics value)
    {
        string table = HtmlTable.Draw(
        [
            ("Cross-entropy", WithUnit(value.CrossEntropy, "N4", "nats a token")),
            ("Perplexity", WithUnit(value.Perplexity, "N2", "a token")),
            ("Unigram perplexity", WithUnit(value.UnigramPerplexity, "N2", "per token")),
            ("Bigram perplexity", WithUnit(value.BigramPerplexity, "N2", "per token")),
            ("Word perplexity", WithUnit(value.WordPerplexity, "N2", "a word")),
            ("Byte perplexity", WithUnit(value.BytePerplexity, "N3", "a byte")),
            ("Bits per byte", WithUnit(value.BitsPerByte, "N3", "bits")),
            ("Log-likelihood", WithUnit(value.LogLikelihood, "N1", "nats")),
            ("Tokens", DisplayText.Count(value.TokenCount)),
            ("Words", KnownCount(value.WordCount)),
            ("Bytes", KnownCount(value.ByteCount)),
            ("Documents", DisplayText.Count(value.DocumentCount)),
        ]);
        return $"<div>{table}{Positions(value.PositionBuckets)}</div>";
    }

    private static string WithUnit(double value, string format, string unit) =>
        double.IsNaN(value) ? DisplayText.Number(value, format) : $"{DisplayText.Number(value, format)} {unit}";

    // 0 stands for what is unknown.
    private static string KnownCount(long count) => DisplayText.Number(count == 0 ? double.NaN : count, "N0");

    private static string Positions(IReadOnlyList<PositionBucket> buckets)
    {
        if (buckets.Count == 0)
            return "";
        string table = HtmlTable.Draw(buckets.Select(bucket => (
            $"from {DisplayText.Count(bucket.FirstPosition)}",
            $"{WithUnit(bucket.CrossEntropy, "N4", "nats a token")}, {DisplayText.Count(bucket.TokenCount)} tokens")));
        return $"<details><summary>Cross-entropy by position</summary>{table}</details>";
    }
}
