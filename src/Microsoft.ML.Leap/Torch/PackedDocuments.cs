namespace Microsoft.ML.Leap;

/// <summary>Documents that stand one after another in one sequence, so that nothing is padded; none sees the one before it.</summary>
/// <param name="Starts">True where a document begins, for each token of the sequence.</param>
/// <param name="Longest">Tokens of the longest document.</param>
internal sealed record PackedDocuments(bool[] Starts, int Longest)
{
    /// <summary>Packs documents of the given lengths.</summary>
    public static PackedDocuments Create(IReadOnlyList<int> lengths)
    {
        bool[] starts = new bool[lengths.Sum()];
        int start = 0;
        foreach (int length in lengths)
        {
            starts[start] = true;
            start += length;
        }

        return new PackedDocuments(starts, lengths.Max());
    }

    /// <summary>Gets the documents' first tokens and lengths.</summary>
    public IEnumerable<(int Start, int Length)> Documents
    {
        get
        {
            int start = 0;
            for (int i = 1; i <= Starts.Length; i++)
            {
                if (i < Starts.Length && !Starts[i])
                    continue;
                yield return (start, i - start);
                start = i;
            }
        }
    }
}
