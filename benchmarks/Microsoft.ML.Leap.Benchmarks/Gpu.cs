using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "gpu": all checks of a device and its contests against GPT-2, for a machine that has a GPU and no .NET. Each check has a process
/// of its own, so that one that dies takes no other with it.</summary>
internal static class GpuCommand
{
    private const string Verb = "gpu";
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(20);

    public static System.CommandLine.Command Create()
    {
        Option<string?> device = ModelChoice.CreateDeviceOption();
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var about = new Option<string[]>("--about") { Description = "What the results are to say of the machine", DefaultValueFactory = _ => [] };
        var only = new Option<string[]>("--only")
        {
            Description = $"Checks to run: {string.Join(", ", GpuChecks.Names)}; by default all",
            DefaultValueFactory = _ => [.. GpuChecks.Names],
            AllowMultipleArgumentsPerToken = true,
        };
        only.AcceptOnlyFromAmong([.. GpuChecks.Names]);
        var fixtures = new Option<DirectoryInfo>("--fixtures")
        {
            Description = "Folder of the parity verb's reference cases",
            DefaultValueFactory = _ => new DirectoryInfo(Path.Combine(AppContext.BaseDirectory, "fixtures")),
        };
        var text = new Option<FileInfo>("--text")
        {
            Description = "Text to train on, a line per row",
            DefaultValueFactory = _ => new FileInfo(Path.Combine(AppContext.BaseDirectory, "text.txt")),
        };
        var part = new Option<FileInfo?>("--part") { Description = "Where a check's process writes its result", Hidden = true };
        var command = new System.CommandLine.Command(Verb, "Check a GPU against the CPU, and measure training there beside GPT-2.")
        {
            device, json, about, only, fixtures, text, part,
        };
        command.SetAction(arguments =>
        {
            string[] names = arguments.GetRequiredValue(only);
            if (arguments.GetValue(part) is FileInfo file)
            {
                var settings = new GpuSettings(arguments.GetValue(device), arguments.GetRequiredValue(fixtures), arguments.GetRequiredValue(text));
                return WritePart(file, names.Single(), settings);
            }

            string[] shared = ["--fixtures", arguments.GetRequiredValue(fixtures).FullName, "--text", arguments.GetRequiredValue(text).FullName];
            if (arguments.GetValue(device) is string wanted)
                shared = [.. shared, "--device", wanted];
            var report = new GpuReport(
                DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture),
                arguments.GetValue(device) ?? "not chosen",
                arguments.GetRequiredValue(about),
                [.. names.Select(name => RunApart(name, shared))]);
            report.Write();
            if (arguments.GetValue(json) is FileInfo output)
                JsonReport.Write(output.FullName, report);
            return report.Checks.All(check => check.IsPassed) ? 0 : 1;
        });
        return command;
    }

    private static GpuResult RunApart(string name, IEnumerable<string> shared)
    {
        string file = Path.GetTempFileName();
        try
        {
            AnsiConsole.Write(new Rule(name).LeftJustified());
            long start = Stopwatch.GetTimestamp();
            ProcessStartInfo info = ChildProgram.Start([Verb, "--part", file, "--only", name, .. shared]);
            info.RedirectStandardOutput = false;
            using Process process = Process.Start(info)!;
            bool isOver = process.WaitForExit(Limit);
            if (!isOver)
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }

            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            string written = File.ReadAllText(file);
            GpuResult result = written.Length > 0
                ? JsonSerializer.Deserialize<GpuResult>(written)! with { Seconds = seconds }
                : new GpuResult(name, false, Fate(isOver, process.ExitCode), seconds, null);
            Console.WriteLine($"{name}: {(result.IsPassed ? "passed" : "FAILED")}. {result.Message}");
            return result;
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string Fate(bool isOver, int exitCode) => isOver
        ? $"Its process ended with the exit code {exitCode} and no result."
        : $"It did not end within {Limit.TotalMinutes} minutes.";

    // The outermost frame of its process: whatever a check throws is its result.
    private static int WritePart(FileInfo file, string name, GpuSettings settings)
    {
        GpuResult result;
        try
        {
            (bool isPassed, string message, object figures) = GpuChecks.Run(name, settings);
            result = new GpuResult(name, isPassed, message, 0, JsonReport.ToNode(figures));
        }
        catch (Exception exception)
        {
            Console.Error.WriteLine(exception);
            result = new GpuResult(name, false, exception.Message, 0, null);
        }

        File.WriteAllText(file.FullName, JsonSerializer.Serialize(result));
        return result.IsPassed ? 0 : 1;
    }
}

/// <summary>What the verb "gpu" found.</summary>
/// <param name="Time">When it began.</param>
/// <param name="Device">The device that was asked for.</param>
/// <param name="About">What the caller says of the machine.</param>
/// <param name="Checks">The checks, in their order.</param>
internal sealed record GpuReport(string Time, string Device, IReadOnlyList<string> About, IReadOnlyList<GpuResult> Checks)
{
    public void Write()
    {
        foreach (string line in About)
            Console.WriteLine(line);
        Table table = new Table().AddColumns("check", "result", "seconds", "what it found");
        foreach (GpuResult check in Checks)
        {
            table.AddRow(
                check.Name,
                check.IsPassed ? "passed" : "FAILED",
                check.Seconds.ToString("0", CultureInfo.InvariantCulture),
                Markup.Escape(check.Message));
        }

        AnsiConsole.Write(table);
        Console.WriteLine($"{Checks.Count(check => check.IsPassed)} of {Checks.Count} checks passed on {Device}.");
    }
}

/// <summary>What a check found.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsPassed">Whether all is as it should be.</param>
/// <param name="Message">What was found, or what failed, in words.</param>
/// <param name="Seconds">The time of its process.</param>
/// <param name="Figures">What was measured.</param>
internal sealed record GpuResult(string Name, bool IsPassed, string Message, double Seconds, JsonNode? Figures);
