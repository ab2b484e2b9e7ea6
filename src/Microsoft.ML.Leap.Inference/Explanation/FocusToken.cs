namespace Microsoft.ML.Leap;

/// <summary>A token of a <see cref="FocusReport"/>.</summary>
public sealed record FocusToken
{
    /// <summary>Gets the token's place in the report. 0 is the end-of-text start, which the model reads before every text.</summary>
    public required int Index { get; init; }

    /// <summary>Gets the token's id.</summary>
    public required int Id { get; init; }

    /// <summary>Gets the token's text for display: <see cref="LeapTokenizer.GetTokenText"/>'s.</summary>
    public required string Text { get; init; }

    /// <summary>Gets where the token's text starts in <see cref="FocusReport.Text"/>, in UTF-16 units.</summary>
    public required int Start { get; init; }

    /// <summary>Gets the number of UTF-16 units. 0 for the start, and for a token that only continues a character that another one began:
    /// spans never overlap.</summary>
    public required int Length { get; init; }

    /// <summary>Gets the natural logarithm of the probability that the model gave the token: nats, at most 0; NaN for the start, which
    /// nothing predicts.</summary>
    public required double LogLikelihood { get; init; }

    /// <summary>Gets how much of the token's probability came from the n-grams that were counted in the training texts: from 0 to 1; 0 of a
    /// model without them, and NaN for the start.</summary>
    public double MemoryShare { get; init; }

    /// <summary>Gets whether the token belongs to the continuation of a prompt.</summary>
    public required bool IsContinuation { get; init; }

    /// <summary>Gets how much the token surprised the model: -<see cref="LogLikelihood"/> / ln 2, in bits, at least 0; NaN for the start.</summary>
    public double Surprisal => -LogLikelihood / Math.Log(2);

    /// <summary>Gets whether this is the end-of-text start and no part of the text.</summary>
    public bool IsStart => Index == 0;
}
