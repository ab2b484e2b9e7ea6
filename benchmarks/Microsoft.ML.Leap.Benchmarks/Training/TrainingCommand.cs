using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "training": tokens a second and memory of LEAP, its naive form and GPT-2.</summary>
internal static class TrainingCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var rounds = new Option<int>("--rounds") { Description = "Steps of each contestant that count", DefaultValueFactory = _ => 7 };
        var warmups = new Option<int>("--warmups") { Description = "Steps of LEAP and GPT-2 before those", DefaultValueFactory = _ => 10 };
        var role = new Option<string?>("--role") { Description = "What this process does for another", Hidden = true };
        var shape = new TrainingShape.Options();
        var command = new System.CommandLine.Command("training", "Measure training speed and memory beside the naive form and GPT-2.")
        {
            json, rounds, warmups, role,
        };
        shape.AddTo(command);
        command.SetAction(arguments =>
        {
            TrainingShape sizes = shape.Read(arguments);
            if (arguments.GetValue(role) is string given)
                TrainingWorker.Serve(given, sizes);
            else
                Report(Run(sizes.WithPrecisionOfThisMachine(), shape, arguments.GetValue(warmups), arguments.GetValue(rounds)), arguments.GetValue(json));
        });
        return command;
    }

    private static TrainingReport Run(TrainingShape sizes, TrainingShape.Options shape, int warmups, int rounds)
    {
        using var benchmark = new TrainingBenchmark(sizes, role => ["training", "--role", role, .. shape.Write(sizes)]);
        return benchmark.Run(warmups, rounds);
    }

    private static void Report(TrainingReport report, FileInfo? file)
    {
        TrainingTables.Write(report);
        if (file is not null)
            JsonReport.Write(file.FullName, report);
    }
}
