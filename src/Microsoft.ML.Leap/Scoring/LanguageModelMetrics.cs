using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>How well a language model predicts a text. Immutable, and therefore thread-safe.</summary>
/// <remarks>Perplexities a token compare only models with the same tokenizer; <see cref="WordPerplexity"/> and
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

    /// <summary>Gets the mean negative log-likelihood in nats a token; NaN without tokens.</summary>
    public double CrossEntropy => -LogLikelihood / TokenCount;

    /// <summary>Gets exp(<see cref="CrossEntropy"/>), the perplexity a token: the number of equally likely tokens that would be as hard to
    /// guess. At least 1; NaN without tokens.</summary>
    public double Perplexity => Math.Exp(CrossEntropy);

    /// <summary>Gets the perplexity per token of a unigram model of the training texts, which knows only how frequent each token is, on the
    /// same texts without end-of-text tokens. NaN where the model has no counts of its training texts, or the texts were not at
    /// hand.</summary>
    /// <remarks>Modified Kneser-Ney smoothing, as <see cref="NGramModel"/> has it. A network that is no better has learned
    /// little.</remarks>
    public double UnigramPerplexity { get; }

    /// <summary>Gets the perplexity per token of a bigram model of the training texts, which knows how often each token followed each
    /// other, on the same texts without end-of-text tokens. NaN where <see cref="UnigramPerplexity"/> is.</summary>
    /// <remarks>Modified Kneser-Ney smoothing, as <see cref="NGramModel"/> has it.</remarks>
    public double BigramPerplexity { get; }

    /// <summary>Gets the bits needed for a byte of the text; NaN without <see cref="ByteCount"/>.</summary>
    public double BitsPerByte => -LogLikelihood / Math.Log(2) / (ByteCount == 0 ? double.NaN : ByteCount);

    /// <summary>Gets the perplexity a byte, exp(-log-likelihood / bytes) = 2^<see cref="BitsPerByte"/>; NaN without
    /// <see cref="ByteCount"/>.</summary>
    public double BytePerplexity => Math.Exp(-LogLikelihood / (ByteCount == 0 ? double.NaN : ByteCount));

    /// <summary>Gets the perplexity a word, exp(-log-likelihood / words); NaN without <see cref="WordCount"/>.</summary>
    public double WordPerplexity => Math.Exp(-LogLikelihood / (WordCount == 0 ? double.NaN : WordCount));

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"perplexity {Perplexity:0.00}, cross-entropy {CrossEntropy:0.0000} nats a token, {BitsPerByte:0.000} bits per byte, " +
        $"word perplexity {WordPerplexity:0.00}, {TokenCount:N0} tokens" +
        $"{(double.IsNaN(BigramPerplexity) ? "" : Describe($"; unigram perplexity {UnigramPerplexity:0.00}, bigram perplexity {BigramPerplexity:0.00}"))}");

    private static string Describe(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
