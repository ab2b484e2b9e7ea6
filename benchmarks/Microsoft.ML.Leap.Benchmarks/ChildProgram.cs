using System.Diagnostics;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Starts this program again, as a process of its own.</summary>
internal static class ChildProgram
{
    /// <summary>Tells how to start it with the given arguments, its output redirected.</summary>
    public static ProcessStartInfo Start(IEnumerable<string> arguments)
    {
        string assembly = typeof(ChildProgram).Assembly.Location;
        string executable = Path.ChangeExtension(assembly, OperatingSystem.IsWindows() ? ".exe" : null);

        // Where another program uses this assembly, as a test does, it is not the one to start.
        bool hasExecutable = File.Exists(executable);
        var start = new ProcessStartInfo(hasExecutable ? executable : "dotnet") { RedirectStandardOutput = true };
        if (!hasExecutable)
            start.ArgumentList.Add(assembly);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        return start;
    }
}
