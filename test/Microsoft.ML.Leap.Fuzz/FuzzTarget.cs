using System.Globalization;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>A reader, given any bytes: it reads and then uses them, or refuses them with a <see cref="FormatException"/>, within bounds of memory
/// and time. Anything else is a fault.</summary>
/// <param name="Name">What commands, seeds and findings call it.</param>
/// <param name="Reads">What the bytes stand for.</param>
/// <param name="Read">Reads the bytes, and uses what comes of them.</param>
internal sealed record FuzzTarget(string Name, string Reads, Action<byte[]> Read)
{
    private const long BytesPerMegabyte = 1 << 20;

    /// <summary>Gets the mebibytes that a call may allocate, whatever the input.</summary>
    public int Megabytes { get; init; } = 16;

    /// <summary>Gets the bytes that a call may allocate for each byte of its input, beside <see cref="Megabytes"/>.</summary>
    public int BytesPerByte { get; init; } = 2048;

    /// <summary>Gets the processor time that a call may take, whatever the input.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Gets the processor time that a call may take for each byte of its input, beside <see cref="Time"/>.</summary>
    public TimeSpan TimePerByte { get; init; } = TimeSpan.FromMicroseconds(50);

    /// <summary>Gets how many mutations of seeds the test suite tries.</summary>
    public int Mutations { get; init; } = 2000;

    /// <summary>Gets all targets.</summary>
    public static IReadOnlyList<FuzzTarget> All { get; } =
        [.. ModelTargets.All, .. TokenizerTargets.All, .. TrainingTargets.All, WebTarget.Target];

    /// <summary>Gives the target of a name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static FuzzTarget Find(string name) => All.FirstOrDefault(target => target.Name == name)
        ?? throw new ArgumentException($"There is no target '{name}'; there are {string.Join(", ", All.Select(target => target.Name))}.");

    /// <summary>Tries an input.</summary>
    /// <returns>Whether it was accepted.</returns>
    /// <exception cref="FuzzFault">The reader threw what it must not, or took too much memory or time.</exception>
    public bool Try(byte[] input)
    {
        long allocated = GC.GetTotalAllocatedBytes();
        TimeSpan started = Environment.CpuUsage.TotalTime;
        bool isAccepted = true;
        try
        {
            Read(input);
        }
        catch (FormatException e) when (IsOwn(e))
        {
            isAccepted = false;
        }
        catch (Exception e)
        {
            throw new FuzzFault($"{Name} threw {e}", e);
        }

        allocated = GC.GetTotalAllocatedBytes() - allocated;
        TimeSpan taken = Environment.CpuUsage.TotalTime - started;
        long mostBytes = Megabytes * BytesPerMegabyte + (long)BytesPerByte * input.Length;
        if (allocated > mostBytes)
            throw new FuzzFault(Say($"{Name} allocated {allocated} bytes for {input.Length} bytes of input, more than {mostBytes}."));
        TimeSpan mostTime = Time + TimePerByte * input.Length;
        if (taken > mostTime)
            throw new FuzzFault(Say($"{Name} took {taken.TotalSeconds:0.0} s for {input.Length} bytes of input, more than {mostTime.TotalSeconds:0.0}."));
        return isAccepted;
    }

    // Those of .NET's own parsers do not say which file is meant. Where the library reads on another thread, the compiler may put its method into the
    // task's that calls it, which then stands for it.
    private static bool IsOwn(FormatException e) =>
        e.TargetSite?.DeclaringType?.Namespace is string thrower
        && (thrower.StartsWith("Microsoft.ML.Leap", StringComparison.Ordinal) || thrower == typeof(Task).Namespace);

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What a reader must not do with any input.</summary>
internal sealed class FuzzFault(string message, Exception? inner = null) : Exception(message, inner);
