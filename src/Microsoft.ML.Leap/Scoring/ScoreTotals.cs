namespace Microsoft.ML.Leap;

/// <summary>Sums up losses, over all and by their positions.</summary>
/// <param name="bucketSize">Positions of a bucket; 0 for no buckets.</param>
internal sealed class ScoreTotals(int bucketSize)
{
    private readonly List<(double Loss, long Count)> _buckets = [];

    /// <summary>Gets the summed losses in nats.</summary>
    public double Loss { get; private set; }

    /// <summary>Gets their number.</summary>
    public long Count { get; private set; }

    /// <summary>Gets the buckets up to the last that has a token.</summary>
    public PositionBucket[] Buckets => [.. _buckets.Select((bucket, i) => new PositionBucket
    {
        FirstPosition = i * bucketSize,
        TokenCount = bucket.Count,
        CrossEntropy = bucket.Loss / bucket.Count,
    })];

    /// <summary>Adds the loss of a token at a position in its block.</summary>
    public void Add(int position, double loss)
    {
        Loss += loss;
        Count++;
        if (bucketSize == 0)
            return;
        int bucket = position / bucketSize;
        while (_buckets.Count <= bucket)
            _buckets.Add(default);
        _buckets[bucket] = (_buckets[bucket].Loss + loss, _buckets[bucket].Count + 1);
    }
}
