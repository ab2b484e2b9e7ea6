using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The memory of tensors, for kernels that compute on it directly.</summary>
/// <remarks>A pointer is good for as long as its tensor lives.</remarks>
internal static unsafe class RawMemory
{
    // Of values that take up to 8 bytes each.
    private const int MostSpanned = int.MaxValue / sizeof(long);

    /// <summary>Gets or sets whether kernels leave all tensors alone, so that the CPU computes by the tensor operations of a GPU: for tests, and
    /// for the benchmarks' check of a GPU where there is none. One for the process.</summary>
    public static bool IsHidden { get; set; }

    /// <summary>Tells whether kernels can compute on a tensor: single precision, on the CPU.</summary>
    public static bool IsReachable(Tensor x) => !IsHidden && x.dtype == ScalarType.Float32 && x.device_type == DeviceType.CPU;

    /// <summary>Tells whether kernels that read any <see cref="IRowFormat{TValue}"/> can compute on a tensor: single precision or bfloat16, on
    /// the CPU.</summary>
    public static bool HoldsRows(Tensor x) => !IsHidden && x.device_type == DeviceType.CPU && (x.dtype is ScalarType.Float32 or ScalarType.BFloat16);

    public static float* Singles(Tensor x) => (float*)First(x, ScalarType.Float32);

    public static ushort* BFloat16s(Tensor x) => (ushort*)First(x, ScalarType.BFloat16);

    public static long* Integers(Tensor x) => (long*)First(x, ScalarType.Int64);

    private static void* First(Tensor x, ScalarType type)
    {
        if (x.dtype != type || x.device_type != DeviceType.CPU || !x.is_contiguous())
            throw new ArgumentException($"Expected a contiguous {type} tensor on the CPU, but got {x.dtype} on {x.device_type}.", nameof(x));

        // A span over more than 2 GB is impossible, and a storage's address leaves the tensor's offset out. Making a tensor of the first value takes
        // 2 microseconds, and a training step asks for hundreds of pointers; so only of a large one.
        using Tensor? first = x.numel() <= MostSpanned ? null : NarrowToFirst(x);
        fixed (byte* pointer = (first ?? x).bytes)
            return pointer;
    }

    private static Tensor NarrowToFirst(Tensor x)
    {
        using Tensor flat = x.view(-1);
        return flat.narrow(0, 0, 1);
    }
}

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
