using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The operations that torch itself records, by its profiler for C++ programs (torch::autograd::profiler::RecordProfile), which
/// TorchSharp does not wrap. Linux alone: elsewhere C++ names and strings look different.</summary>
internal static unsafe class TorchProfile
{
    private const string Constructor =
        "_ZN5torch8autograd8profiler13RecordProfileC1ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE";

    private const string Destructor = "_ZN5torch8autograd8profiler13RecordProfileD1Ev";

    // More than the two pointers that it is.
    private const int ProfileSize = 256;

    /// <summary>Runs an action and counts the operations of this thread: "aten::mm" and the like.</summary>
    public static IReadOnlyDictionary<string, int> Count(Action action)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        nint library = NativeLibrary.Load("torch_cpu", typeof(Tensor).Assembly, null);
        var construct = (delegate* unmanaged<void*, CppString*, void>)NativeLibrary.GetExport(library, Constructor);
        var destroy = (delegate* unmanaged<void*, void>)NativeLibrary.GetExport(library, Destructor);
        byte[] path = [.. Encoding.UTF8.GetBytes(file), 0];
        byte* profile = stackalloc byte[ProfileSize];
        fixed (byte* characters = path)
        {
            var name = new CppString { Characters = characters, Length = path.Length - 1, Capacity = path.Length - 1 };
            construct(profile, &name);
        }

        try
        {
            action();
        }
        finally
        {
            destroy(profile);
        }

        using JsonDocument trace = JsonDocument.Parse(File.ReadAllText(file));
        return trace.RootElement.EnumerateArray().Select(entry => entry.GetProperty("name").GetString()!)
            .CountBy(name => name, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
    }

    // std::string of libstdc++ with its characters elsewhere.
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    private struct CppString
    {
        public byte* Characters;
        public long Length;
        public long Capacity;
    }
}
