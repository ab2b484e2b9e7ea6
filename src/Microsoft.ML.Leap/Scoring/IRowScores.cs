namespace Microsoft.ML.Leap;

/// <summary>The scores of the row under a cursor; each is computed when first read.</summary>
internal interface IRowScores
{
    int TokenCount { get; }

    TextScore Score { get; }

    string GeneratedText { get; }

    IReadOnlyList<int> TokenIds { get; }

    float[] FocusWeights { get; }
}
