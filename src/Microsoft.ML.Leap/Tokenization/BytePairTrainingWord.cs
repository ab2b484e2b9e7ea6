namespace Microsoft.ML.Leap;

/// <summary>A distinct word of the training text: its tokens so far, and how often it occurs.</summary>
internal sealed class BytePairTrainingWord(int[] symbols, long count)
{
    public long Count { get; } = count;

    public int Length { get; private set; } = symbols.Length;

    public (int Left, int Right) GetPair(int position) => (symbols[position], symbols[position + 1]);

    public bool Contains(BytePairMerge merge)
    {
        for (int i = 0; i + 1 < Length; i++)
        {
            if (GetPair(i) == (merge.Left, merge.Right))
                return true;
        }

        return false;
    }

    public void Apply(BytePairMerge merge)
    {
        int target = 0;
        for (int source = 0; source < Length; source++)
        {
            bool pair = source + 1 < Length && GetPair(source) == (merge.Left, merge.Right);
            symbols[target++] = pair ? merge.Id : symbols[source];
            if (pair)
                source++;
        }

        Length = target;
    }
}
