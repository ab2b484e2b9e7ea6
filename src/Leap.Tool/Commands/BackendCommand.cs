using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace Leap.Tool;

/// <summary><c>leap backend</c>: brings libtorch, which trains, and which the tool's package does not contain.</summary>
internal static class BackendCommand
{
    public static Command Create()
    {
        var command = new Command(
            "backend",
            """
            Downloads libtorch, with which 'leap train' computes, from your NuGet source into NuGet's folder. Nothing else needs it. Once is enough. For an NVIDIA GPU, put the
            folder of a CUDA build of the same libtorch into LD_LIBRARY_PATH instead.

            Examples:
              leap backend
            """);
        var json = new Option<bool>("--json") { Description = "Writes the result as JSON." };
        command.Add(json);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            (string name, string version) = NativeBackendFacts.CpuPackage;
            if (!Backend.IsThere)
                await RestoreAsync(name, version, cancellationToken).ConfigureAwait(false);
            Backend.Require();
            string path = NativeBackendFacts.Collect("").LibTorchPath ?? "";
            parsed.InvocationConfiguration.Output.WriteLine(
                parsed.GetValue(json) ? JsonSerializer.Serialize(new { package = name, version, path }, InfoCommand.Json) : $"libtorch {version} is in {Path.GetDirectoryName(path)}.");
        });
        return command;
    }

    // The SDK knows the user's sources, proxies and folders.
    private static async Task RestoreAsync(string package, string version, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateTempSubdirectory("leap-backend").FullName;
        try
        {
            string project = Path.Combine(folder, "backend.csproj");
            await File.WriteAllTextAsync(
                project,
                $"""
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup>
                  <ItemGroup><PackageReference Include="{package}" Version="{version}" /></ItemGroup>
                </Project>
                """,
                cancellationToken).ConfigureAwait(false);
            using Process restore = Start(project);
            string output = await restore.StandardOutput.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
            await restore.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
            if (restore.ExitCode != 0)
                throw new IOException($"'dotnet restore' cannot get the package {package} {version}: {output.Trim()}");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Process Start(string project)
    {
        try
        {
            return Process.Start(new ProcessStartInfo("dotnet", ["restore", project, "--verbosity", "quiet"]) { RedirectStandardOutput = true })!;
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("'leap backend' needs the .NET SDK, and there is no command 'dotnet'.", e);
        }
    }
}

/// <summary>libtorch, where it is there.</summary>
internal static class Backend
{
    /// <summary>Gets whether libtorch can be found.</summary>
    public static bool IsThere => NativeBackendFacts.Collect("").LibTorchPath is not null;

    /// <summary>Loads it.</summary>
    /// <exception cref="InvalidOperationException">It is not there, or cannot be loaded.</exception>
    public static void Require()
    {
        if (!IsThere)
            throw new InvalidOperationException("Training needs libtorch, which this tool does not contain: run 'leap backend' once, which downloads it.");
        NativeBackend.EnsureLoaded();
    }
}
