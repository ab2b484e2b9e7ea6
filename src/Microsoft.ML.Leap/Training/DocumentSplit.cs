namespace Microsoft.ML.Leap;

/// <summary>Sets a part of the documents aside for validation, drawn by a seed.</summary>
internal sealed class DocumentSplit
{
    private readonly bool[] _isValidation;

    /// <param name="count">The documents; at least 2.</param>
    /// <param name="fraction">The part set aside, over 0 and below 1; at least one document, and never all.</param>
    /// <param name="seed">Decides which.</param>
    public DocumentSplit(int count, double fraction, int seed)
    {
        int wanted = Math.Clamp((int)Math.Round(count * fraction), 1, count - 1);
        _isValidation = new bool[count];
        foreach (int document in RandomSeed.Order(seed, epoch: long.MaxValue, count).AsSpan(0, wanted))
            _isValidation[document] = true;
    }

    public IEnumerable<T> Select<T>(IEnumerable<T> documents, bool validation) =>
        documents.Where((_, i) => _isValidation[i] == validation);
}
