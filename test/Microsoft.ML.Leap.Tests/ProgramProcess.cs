using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Programs of this repository, run as processes of their own.</summary>
internal static class ProgramProcess
{
    /// <summary>Runs a program to its end, which must be a good one.</summary>
    /// <param name="name">The name of its assembly.</param>
    /// <param name="input">What it reads from its standard input.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it wrote to its standard output.</returns>
    public static string Run(string name, string input, params string[] arguments)
    {
        (int exitCode, string output, string errors) = RunAny(name, input, arguments);
        Assert.AreEqual(0, exitCode, errors);
        return output;
    }

    /// <summary>Runs a program to its end, whatever that is.</summary>
    /// <inheritdoc cref="Run"/>
    public static (int ExitCode, string Output, string Errors) RunAny(string name, string input, params string[] arguments)
    {
        using Process process = Start(name, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return (process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Starts a program that goes on until it is ended.</summary>
    /// <param name="name">The name of its assembly.</param>
    /// <param name="arguments">Its arguments.</param>
    public static Process Start(string name, params string[] arguments) => Process.Start(new ProcessStartInfo(HostPath(), [GetPath(name), .. arguments])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    // Written by the project file.
    public static string GetPath(string name) => Path.GetFullPath(Path.Combine(
        AppContext.BaseDirectory,
        typeof(ProgramProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .Single(fact => fact.Key == $"{name}.Path").Value!));

    // The host of the runtime that runs this test: shared/Microsoft.NETCore.App/VERSION lies under its folder.
    private static string HostPath() => Path.GetFullPath(Path.Combine(
        RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
}
