using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "micro": the kernels and the tokenizer by themselves, by BenchmarkDotNet.</summary>
internal static class MicroCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var filter = new Option<string[]>("--filter")
        {
            Description = "Which benchmarks, as *Windowed*",
            DefaultValueFactory = _ => ["*"],
            AllowMultipleArgumentsPerToken = true,
        };
        var quick = new Option<bool>("--quick") { Description = "Three iterations each: rough, and quickly done" };
        var command = new System.CommandLine.Command("micro", "Measure the kernels and the tokenizer by themselves.") { json, filter, quick };
        command.SetAction(arguments =>
        {
            var report = MicroReport.Of(BenchmarkRunner.Run(
                typeof(MicroCommand).Assembly, Configure(arguments.GetRequiredValue(filter), arguments.GetValue(quick))));
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        });
        return command;
    }

    // In this process: libtorch makes the projects that BenchmarkDotNet would build large and slow to start.
    private static ManualConfig Configure(string[] filters, bool isQuick)
    {
        Job job = (isQuick ? Job.ShortRun : Job.Default).WithToolchain(InProcessEmitToolchain.Instance);
        return ManualConfig.Create(DefaultConfig.Instance)
            .AddJob(job)
            .AddFilter(new GlobFilter(filters))
            .WithArtifactsPath(Path.Combine("artifacts", "BenchmarkDotNet"))
            .WithOptions(ConfigOptions.JoinSummary);
    }
}
