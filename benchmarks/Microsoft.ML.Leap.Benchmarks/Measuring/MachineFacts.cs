using System.Runtime.InteropServices;
using Spectre.Console;
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
