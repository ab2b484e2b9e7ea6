using TorchSharp;

namespace Microsoft.ML.Leap;

/// <summary>Shares out work among as many threads as torch may use. What is computed never depends on how many those are.</summary>
internal static class CpuWork
{
    /// <summary>Runs <paramref name="body"/> for each range of at most <paramref name="partSize"/> values: its first value and their count.</summary>
    public static void ForRanges(long count, int partSize, Action<long, int> body)
    {
        if (count <= partSize)
        {
            body(0, (int)count);
            return;
        }

        long parts = (count + partSize - 1) / partSize;
        Parallel.For(0, parts, Options(), part => body(part * partSize, (int)Math.Min(partSize, count - part * partSize)));
    }

    /// <summary>Runs <paramref name="body"/> for each index with a worker that no other thread uses meanwhile.</summary>
    /// <param name="count">The number of indices.</param>
    /// <param name="isSmall">Whether the work is too little for a second thread.</param>
    /// <param name="createWorker">Makes a worker.</param>
    /// <param name="body">Does an index's work.</param>
    public static void ForEach<TWorker>(int count, bool isSmall, Func<TWorker> createWorker, Action<TWorker, int> body)
        where TWorker : IDisposable
    {
        if (isSmall || count == 1)
        {
            using TWorker worker = createWorker();
            for (int i = 0; i < count; i++)
                body(worker, i);
            return;
        }

        Parallel.For(
            0,
            count,
            Options(),
            createWorker,
            (i, _, worker) =>
            {
                body(worker, i);
                return worker;
            },
            worker => worker.Dispose());
    }

    private static ParallelOptions Options() => new() { MaxDegreeOfParallelism = Math.Max(1, torch.get_num_threads()) };
}
