using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>How well a language model predicts a text. Immutable, and therefore thread-safe.</summary>
/// <remarks>Perplexities per token compare only models with the same tokenizer; <see cref="WordPerplexity"/> and
/// <see cref="BitsPerByte"/> share the likelihood over units of the text itself, and so compare across tokenizers.</remarks>
[TypeFormatterSource(typeof(MetricsDisplay))]
public sealed class LanguageModelMetrics
{
    internal LanguageModelMetrics(
        double logLikelihood,
        long tokenCount,
        long wordCount,
        long byteCount,
        long documentCount = 0,
        IReadOnlyList<PositionBucket>? positionBuckets = null,
        BaselineScore? baseline = null)
    {
        LogLikelihood = logLikelihood;
        TokenCount = tokenCount;
        WordCount = wordCount;
        ByteCount = byteCount;
        DocumentCount = documentCount;
        PositionBuckets = positionBuckets ?? [];
        UnigramPerplexity = baseline?.UnigramPerplexity ?? double.NaN;
        BigramPerplexity = baseline?.BigramPerplexity ?? double.NaN;
    }

    /// <summary>Gets the summed log-likelihood of all tokens, in nats; at most 0.</summary>
    public double LogLikelihood { get; }

    /// <summary>Gets the number of tokens that were predicted.</summary>
    public long TokenCount { get; }

    /// <summary>Gets the number of words of the text, parted by white space (by <see cref="EvaluationOptions.WordCount"/>, where that was
    /// given); 0 when the text was not at hand, or not all of it was predicted.</summary>
    public long WordCount { get; }

    /// <summary>Gets the number of bytes of the text in UTF-8; 0 when the text was not at hand, or not all of it was
    /// predicted.</summary>
    public long ByteCount { get; }

    /// <summary>Gets the number of documents that gave tokens.</summary>
    public long DocumentCount { get; }

    /// <summary>Gets how well tokens are predicted by their position in a block, in order of position; empty unless
    /// <see cref="EvaluationOptions.PositionBucketSize"/> asked for it.</summary>
    public IReadOnlyList<PositionBucket> PositionBuckets { get; }

    /// <summary>Gets the mean negative log-likelihood in nats per token; NaN without tokens.</summary>
    public double CrossEntropy => -LogLikelihood / TokenCount;

    /// <summary>Gets exp(<see cref="CrossEntropy"/>), the perplexity per token: the number of equally likely tokens that would be as hard to
    /// guess. At least 1; NaN without tokens.</summary>
    public double Perplexity => Math.Exp(CrossEntropy);

    /// <summary>Gets the perplexity per token of a unigram model of the training texts, which knows only how frequent each token is, on the
    /// same texts without end-of-text tokens. NaN where the model has no counts of its training texts, or the texts were not at
    /// hand, as they are not where a step stands between <c>Transform</c> and the evaluation of its view.</summary>
    /// <remarks>Modified Kneser-Ney smoothing, as <see cref="NGramModel"/> has it. A network that is no better has learned
    /// little.</remarks>
    public double UnigramPerplexity { get; }

    /// <summary>Gets the perplexity per token of a bigram model of the training texts, which knows how often each token followed each
    /// other, on the same texts without end-of-text tokens. NaN where <see cref="UnigramPerplexity"/> is.</summary>
    /// <remarks>Modified Kneser-Ney smoothing, as <see cref="NGramModel"/> has it.</remarks>
    public double BigramPerplexity { get; }

    /// <summary>Gets the bits needed for a byte of the text; NaN without <see cref="ByteCount"/>.</summary>
    public double BitsPerByte => -LogLikelihood / Math.Log(2) / (ByteCount == 0 ? double.NaN : ByteCount);

    /// <summary>Gets the perplexity per byte, exp(-log-likelihood / bytes) = 2^<see cref="BitsPerByte"/>; NaN without
    /// <see cref="ByteCount"/>.</summary>
    public double BytePerplexity => Math.Exp(-LogLikelihood / (ByteCount == 0 ? double.NaN : ByteCount));

    /// <summary>Gets the perplexity per word, exp(-log-likelihood / words); NaN without <see cref="WordCount"/>.</summary>
    public double WordPerplexity => Math.Exp(-LogLikelihood / (WordCount == 0 ? double.NaN : WordCount));

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"perplexity {Perplexity:0.00}, cross-entropy {CrossEntropy:0.0000} nats per token, {BitsPerByte:0.000} bits per byte, " +
        $"word perplexity {WordPerplexity:0.00}, {TokenCount:N0} tokens" +
        $"{(double.IsNaN(BigramPerplexity) ? "" : Describe($"; unigram perplexity {UnigramPerplexity:0.00}, bigram perplexity {BigramPerplexity:0.00}"))}");

    private static string Describe(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>How well tokens are predicted at some of the positions in a block. Immutable, and therefore thread-safe.</summary>
public sealed record PositionBucket
{
    /// <summary>Gets the bucket's first position: 0 for the token that is predicted from the first token of a block alone.</summary>
    public required int FirstPosition { get; init; }

    /// <summary>Gets the number of tokens that were predicted at the bucket's positions; 0 where there were none.</summary>
    public required long TokenCount { get; init; }

    /// <summary>Gets their mean negative log-likelihood in nats per token; NaN without tokens.</summary>
    public required double CrossEntropy { get; init; }
}

/// <summary>Shows <see cref="LanguageModelMetrics"/>: a table.</summary>
internal sealed class MetricsDisplay : HtmlDisplay<LanguageModelMetrics>
{
    protected override string Draw(LanguageModelMetrics value)
    {
        string table = HtmlTable.Draw(
        [
            ("Cross-entropy", WithUnit(value.CrossEntropy, "N4", "nats per token")),
            ("Perplexity", WithUnit(value.Perplexity, "N2", "per token")),
            ("Unigram perplexity", WithUnit(value.UnigramPerplexity, "N2", "per token")),
            ("Bigram perplexity", WithUnit(value.BigramPerplexity, "N2", "per token")),
            ("Word perplexity", WithUnit(value.WordPerplexity, "N2", "per word")),
            ("Byte perplexity", WithUnit(value.BytePerplexity, "N3", "per byte")),
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
            $"{WithUnit(bucket.CrossEntropy, "N4", "nats per token")}, {DisplayText.Count(bucket.TokenCount)} tokens")));
        return $"<details><summary>Cross-entropy by position</summary>{table}</details>";
    }
}

/// <summary>Counts the words of texts.</summary>
internal static class WordCounter
{
    /// <summary>Counts the words of a text; an empty text has none.</summary>
    public static long Count(ReadOnlySpan<char> text, WordCountRule rule) =>
        rule == WordCountRule.PythonSplit ? CountPieces(text) : CountWords(text);

    private static long CountWords(ReadOnlySpan<char> text)
    {
        long words = 0;
        bool inWord = false;
        foreach (char unit in text)
        {
            bool isSpace = char.IsWhiteSpace(unit);
            if (!isSpace && !inWord)
                words++;
            inWord = !isSpace;
        }

        return words;
    }

    private static long CountPieces(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return 0;
        long pieces = 1;
        bool inSpace = false;
        foreach (char unit in text)
        {
            bool isSpace = IsPythonSpace(unit);
            if (isSpace && !inSpace)
                pieces++;
            inSpace = isSpace;
        }

        return pieces;
    }

    // Python counts the four separators of ASCII as white space too.
    private static bool IsPythonSpace(char unit) => char.IsWhiteSpace(unit) || unit is >= '\x1c' and <= '\x1f';
}
