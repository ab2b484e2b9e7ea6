namespace Microsoft.ML.Leap;

/// <summary>A distinct word of the training text: its tokens so far, and how often it occurs.</summary>
internal sealed class BytePairTrainingWord(int[] symbols, long count)
{
    private int _length = symbols.Length;

    public long Count { get; } = count;

    /// <summary>Merges every such pair from left to right, and adds how often pairs come (1) and go (-1) in the word.</summary>
    public void Apply(BytePairMerge merge, List<((int Left, int Right) Pair, int Change)> changes)
    {
        int target = 0;
        int mergedUpTo = 0;
        for (int source = 0; source < _length; source++)
        {
            if (!IsAt(source, merge))
            {
                symbols[target++] = symbols[source];
                continue;
            }

            // A pair that merged just before has counted the neighbourhood to the left.
            int next = source + 2;
            if (source > mergedUpTo)
                changes.Add(((symbols[source - 1], merge.Left), -1));
            changes.Add(((merge.Left, merge.Right), -1));
            if (next < _length)
                changes.Add(((merge.Right, symbols[next]), -1));
            if (target > 0)
                changes.Add(((symbols[target - 1], merge.Id), 1));
            if (next < _length && !IsAt(next, merge))
                changes.Add(((merge.Id, symbols[next]), 1));

            symbols[target++] = merge.Id;
            mergedUpTo = next;
            source++;
        }

        _length = target;
    }

    private bool IsAt(int position, BytePairMerge merge) =>
        position + 1 < _length && symbols[position] == merge.Left && symbols[position + 1] == merge.Right;
}
