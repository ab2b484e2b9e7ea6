using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The circumstances of a run, which its figures mean nothing without.</summary>
/// <param name="Processor">The processor's name.</param>
/// <param name="LogicalProcessors">Logical processors of the machine.</param>
/// <param name="Threads">Threads of libtorch's operations.</param>
/// <param name="AllocatorSettings">Whether the library's allocator settings are in force.</param>
/// <param name="OperatingSystem">The operating system.</param>
/// <param name="Runtime">The .NET runtime.</param>
internal sealed record MachineFacts(
    string Processor, int LogicalProcessors, int Threads, bool AllocatorSettings, string OperatingSystem, string Runtime)
{
    public static MachineFacts Collect()
    {
        NativeBackend.EnsureLoaded();
        return new MachineFacts(
            ProcessorName(),
            Environment.ProcessorCount,
            get_num_threads(),
            Leap.AllocatorSettings.Apply(),
            RuntimeInformation.OSDescription,
            RuntimeInformation.FrameworkDescription);
    }

    public void Write()
    {
        AnsiConsole.MarkupLineInterpolated($"{Processor}, {LogicalProcessors} logical processors; {OperatingSystem}; {Runtime}");
        AnsiConsole.MarkupLineInterpolated($"{Threads} threads; allocator settings of the library {(AllocatorSettings ? "in force" : "not in force")}");
    }

    private static string ProcessorName()
    {
        const string File = "/proc/cpuinfo";
        string? line = System.IO.File.Exists(File)
            ? System.IO.File.ReadLines(File).FirstOrDefault(text => text.StartsWith("model name", StringComparison.Ordinal))
            : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }
}

/// <summary>The most memory that this process has held so far.</summary>
internal static class PeakMemory
{
    private const string StatusFile = "/proc/self/status";
    private const string PeakOfResidentMemory = "VmHWM:";

    /// <summary>Gets it in megabytes (2^20 bytes), libraries and runtime included.</summary>
    public static double Megabytes
    {
        get
        {
            if (File.Exists(StatusFile))
                return ReadKilobytes(File.ReadLines(StatusFile)) / 1024.0;
            using Process self = Process.GetCurrentProcess();
            return self.PeakWorkingSet64 / (double)(1 << 20);
        }
    }

    // A line such as "VmHWM:     123456 kB".
    internal static long ReadKilobytes(IEnumerable<string> status)
    {
        string line = status.First(text => text.StartsWith(PeakOfResidentMemory, StringComparison.Ordinal));
        string number = line[PeakOfResidentMemory.Length..].Replace("kB", "", StringComparison.Ordinal);
        return long.Parse(number, CultureInfo.InvariantCulture);
    }
}

/// <summary>Rates of matrix products in GFLOP/s.</summary>
internal sealed record MatrixRate(double Float32, double BFloat16)
{
    public static MatrixRate Median(IReadOnlyCollection<MatrixRate> rates) =>
        new(Statistics.Median(rates.Select(rate => rate.Float32)), Statistics.Median(rates.Select(rate => rate.BFloat16)));

    /// <summary>Gives the rate in the one or the other precision.</summary>
    public double In(bool bfloat16) => bfloat16 ? BFloat16 : Float32;
}

/// <summary>This machine's rates of matrix products in both precisions: of large matrices, and of the output layer's shape. The better of
/// the two is the limit.</summary>
internal sealed class MatrixProductRates : IDisposable
{
    private static readonly TimeSpan Burst = TimeSpan.FromMilliseconds(150);

    private readonly MatrixProductRate[] _single;
    private readonly MatrixProductRate[] _half;

    /// <param name="config">Says the output layer's shape.</param>
    /// <param name="device">Where to multiply; null for the CPU.</param>
    public MatrixProductRates(LeapConfig config, Device? device = null)
    {
        _single = Shapes(ScalarType.Float32, config, device ?? CPU);
        _half = Shapes(ScalarType.BFloat16, config, device ?? CPU);
    }

    /// <summary>Measures each for a moment.</summary>
    public MatrixRate Measure() => new(_single.Max(rate => rate.Measure(Burst)), _half.Max(rate => rate.Measure(Burst)));

    public void Dispose()
    {
        foreach (MatrixProductRate rate in (MatrixProductRate[])[.. _single, .. _half])
            rate.Dispose();
    }

    // A GPU needs a larger product to be at its best.
    private static MatrixProductRate[] Shapes(ScalarType type, LeapConfig config, Device device)
    {
        int factor = device.type == DeviceType.CUDA ? 8 : 1;
        return
        [
            new(type, 2048 * factor, 1024 * factor, 1024 * factor, device),
            new(type, 512 * factor, config.HiddenSize, config.VocabularySize, device),
        ];
    }
}

/// <summary>How fast this machine multiplies matrices of one shape and type: [rows, inner] by [inner, columns].</summary>
internal sealed class MatrixProductRate : IDisposable
{
    private readonly Tensor _left;
    private readonly Tensor _right;
    private readonly Tensor _product;
    private readonly Device _device;

    public MatrixProductRate(ScalarType type, long rows, long inner, long columns, Device device)
    {
        _device = device;
        _left = ones([rows, inner], type, device);
        _right = ones([inner, columns], type, device);
        _product = zeros([rows, columns], type, device);
        Operations = 2.0 * rows * inner * columns;
    }

    /// <summary>Gets the additions and multiplications of one product.</summary>
    public double Operations { get; }

    /// <summary>Multiplies until the time is over, at least once.</summary>
    /// <returns>The rate in GFLOP/s, a fused multiply-add counting as two operations.</returns>
    public double Measure(TimeSpan duration)
    {
        using var noGradients = no_grad();
        long count = 0;
        long start = Stopwatch.GetTimestamp();
        TimeSpan elapsed;
        do
        {
            _product.addmm_(_left, _right, 0, 1);
            DeviceChoice.Wait(_device);
            count++;
            elapsed = Stopwatch.GetElapsedTime(start);
        }
        while (elapsed < duration);
        return Operations * count / elapsed.TotalSeconds / 1e9;
    }

    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
        _product.Dispose();
    }
}

/// <summary>How fast this machine reads a buffer from beginning to end, again and again: what a product with a matrix of that size cannot
/// exceed.</summary>
internal sealed unsafe class MemoryReadRate : IDisposable
{
    private const int Warmups = 8;
    private const int Passes = 64;

    // What the loop reads at once, in numbers.
    private const int Unit = 128;

    private readonly float* _buffer;
    private readonly long _count;

    /// <param name="bytes">The size of the buffer.</param>
    public MemoryReadRate(long bytes)
    {
        _count = bytes / sizeof(float) / Unit * Unit;
        _buffer = (float*)NativeMemory.AlignedAlloc((nuint)(_count * sizeof(float)), 64);
        for (long i = 0; i < _count; i++)
            _buffer[i] = 1;
    }

    /// <summary>Reads it, each thread its own part.</summary>
    /// <returns>The rate of all threads together, in 10^9 bytes per second.</returns>
    public double Measure(int threads)
    {
        long part = _count / threads / Unit * Unit;
        ReadAll(threads, part, Warmups);
        long start = Stopwatch.GetTimestamp();
        ReadAll(threads, part, Passes);
        return (double)part * threads * sizeof(float) * Passes / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
    }

    public void Dispose() => NativeMemory.AlignedFree(_buffer);

    private void ReadAll(int threads, long part, int passes)
    {
        Thread[] others = [.. Enumerable.Range(1, threads - 1).Select(i => new Thread(() => Read(_buffer + i * part, part, passes)))];
        foreach (Thread thread in others)
            thread.Start();
        Read(_buffer, part, passes);
        foreach (Thread thread in others)
            thread.Join();
    }

    private static void Read(float* x, long count, int passes)
    {
        float sum = 0;
        for (int i = 0; i < passes; i++)
            sum += Vector512.IsHardwareAccelerated ? Sum<SimdVector512>(x, count) : Sum<SimdVector256>(x, count);
        GC.KeepAlive(sum);
    }

    // Eight sums that do not wait for one another.
    [MethodImpl(HotLoop.Options)]
    private static float Sum<TVector>(float* x, long count)
        where TVector : struct, ISimdVector<TVector>
    {
        TVector a = TVector.Create(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
        int width = TVector.Count;
        for (float* end = x + count; x < end; x += 8 * width)
        {
            a += TVector.Load(x);
            b += TVector.Load(x + width);
            c += TVector.Load(x + 2 * width);
            d += TVector.Load(x + 3 * width);
            e += TVector.Load(x + 4 * width);
            f += TVector.Load(x + 5 * width);
            g += TVector.Load(x + 6 * width);
            h += TVector.Load(x + 7 * width);
        }

        return (a + b + c + d + (e + f + g + h)).Sum();
    }
}
