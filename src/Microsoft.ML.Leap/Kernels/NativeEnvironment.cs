using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>The process as native libraries see it. Variables set through <see cref="Environment"/> do not reach them on Linux.</summary>
internal static partial class NativeEnvironment
{
    /// <summary>Sets a variable on Linux, unless the user has set it.</summary>
    /// <returns>Whether the variable is set now, to whatever value.</returns>
    internal static bool SetDefault(string name, string value) =>
        OperatingSystem.IsLinux() && SetEnvironmentVariable(name, value, overwrite: 0) == 0;

    /// <summary>Gets whether this is the process's first thread, on Linux.</summary>
    internal static bool IsFirstThread => OperatingSystem.IsLinux() && ThreadId() == Environment.ProcessId;

    [LibraryImport("libc", EntryPoint = "gettid")]
    private static partial int ThreadId();

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironmentVariable(string name, string value, int overwrite);
}
