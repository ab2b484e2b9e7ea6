namespace Microsoft.ML.Leap;

/// <summary>Shares work out among threads. What is computed never depends on how many those are. Thread-safe.</summary>
internal sealed class WorkSharing
{
    // Multiplications that are worth waking another thread for.
    private const long LeastShared = 1 << 21;

    private readonly ParallelOptions _options;

    /// <param name="threadCount">The threads to use; 0 for as many as there are processors. In a browser there is one.</param>
    public WorkSharing(int threadCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threadCount);
        ThreadCount = OperatingSystem.IsBrowser() ? 1 : threadCount == 0 ? Environment.ProcessorCount : threadCount;
        _options = new ParallelOptions { MaxDegreeOfParallelism = ThreadCount };
    }

    public int ThreadCount { get; }

    /// <summary>Runs <paramref name="body"/> for each index below <paramref name="count"/>.</summary>
    /// <param name="count">The number of pieces of work.</param>
    /// <param name="multiplications">What all of it takes, about.</param>
    /// <param name="body">Does a piece.</param>
    public void For(int count, long multiplications, Action<int> body)
    {
        if (ThreadCount > 1 && count > 1 && multiplications >= LeastShared)
        {
            Parallel.For(0, count, _options, body);
            return;
        }

        for (int i = 0; i < count; i++)
            body(i);
    }

    /// <summary>Runs <paramref name="body"/> for each block of rows: its first row and their number.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="multiplicationsPerRow">What one of them takes, about.</param>
    /// <param name="body">Does a block.</param>
    public void ForRows(int rows, long multiplicationsPerRow, Action<int, int> body)
    {
        // Blocks whose intermediate values stay in the cache, and a multiple of the rows that a product takes at once.
        const int largest = 64, multiple = 8;
        int perThread = (rows + ThreadCount - 1) / ThreadCount;
        int size = Math.Min(largest, (perThread + multiple - 1) / multiple * multiple);
        if (rows * multiplicationsPerRow < LeastShared)
            size = largest;
        For((rows + size - 1) / size, rows * multiplicationsPerRow, block => body(block * size, Math.Min(size, rows - block * size)));
    }
}
