using System.CommandLine;
using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "resume": trains in a process of its own, kills that (SIGKILL on Unix), resumes in another, and compares the last
/// checkpoint with that of a run which nobody interrupted.</summary>
internal static class ResumeCommand
{
    public static System.CommandLine.Command Create()
    {
        var steps = new Option<int>("--steps") { Description = "Steps of the run", DefaultValueFactory = _ => 200 };
        var killAt = new Option<int>("--kill-at") { Description = "Step after which the process is killed", DefaultValueFactory = _ => 107 };
        var child = new Option<string?>("--child") { Description = "Checkpoint folder of the run", Hidden = true };
        var command = new System.CommandLine.Command("resume", "Kill a training process, resume it, and compare with an uninterrupted run.")
        {
            steps, killAt, child,
        };
        command.SetAction(result =>
        {
            int count = result.GetValue(steps);
            if (result.GetValue(child) is not string folder)
                return Compare(count, result.GetValue(killAt));
            ResumeRun.Train(folder, count);
            return 0;
        });
        return command;
    }

    private static int Compare(int steps, int killAt)
    {
        string root = Directory.CreateTempSubdirectory("leap-resume-").FullName;
        try
        {
            string whole = Path.Combine(root, "whole");
            string parts = Path.Combine(root, "parts");
            Run(whole, steps, killAt: null);
            Run(parts, steps, killAt);
            IReadOnlyList<long> checkpoints = new CheckpointFolder(parts).Steps;
            Console.WriteLine($"killed after step {killAt}; latest checkpoint: {(checkpoints.Count > 0 ? checkpoints[^1] : "none")}");
            Run(parts, steps, killAt: null);

            string? difference = CheckpointComparison.FirstDifference(
                new CheckpointFolder(whole).PathOf(steps), new CheckpointFolder(parts).PathOf(steps));
            Console.WriteLine(difference ?? "bit-identical");
            return difference is null ? 0 : 1;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    // The child tells its steps, a line each.
    private static void Run(string folder, int steps, int? killAt)
    {
        ProcessStartInfo start = ChildProgram.Start(["resume", "--child", folder, "--steps", steps.ToString(CultureInfo.InvariantCulture)]);
        using Process process = Process.Start(start)!;
        bool isKilled = false;
        while (process.StandardOutput.ReadLine() is string line)
        {
            if (isKilled || killAt is null || int.Parse(line, CultureInfo.InvariantCulture) < killAt)
                continue;
            process.Kill();
            isKilled = true;
        }

        process.WaitForExit();
        if (process.ExitCode != 0 && !isKilled)
            throw new InvalidOperationException($"The training process ended with the exit code {process.ExitCode}.");
        if (killAt is not null && (!isKilled || process.ExitCode == 0))
            throw new InvalidOperationException("The training process ended before it could be killed; use a lower --kill-at.");
    }
}
