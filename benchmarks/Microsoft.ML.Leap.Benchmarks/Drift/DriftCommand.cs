using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "drift": how far a long stream of single steps is from double precision.</summary>
internal static class DriftCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        Option<int> steps = PositiveOption.Create("--steps", "Steps of the stream", 1_000_000);
        Option<int> layers = PositiveOption.Create("--layers", "Layers", 4);
        Option<int> hidden = PositiveOption.Create("--hidden", "Width", 64);
        Option<int> heads = PositiveOption.Create("--heads", "Heads", 2);
        Option<int> vocabulary = PositiveOption.Create("--vocabulary", "Possible tokens", 1000);
        Option<int> seed = PositiveOption.Create("--seed", "Decides the weights and the tokens", 1);
        var command = new System.CommandLine.Command("drift", "Measure how far a long stream of single steps is from double precision.")
        {
            json, steps, layers, hidden, heads, vocabulary, seed,
        };
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            int chosenSeed = arguments.GetValue(seed);
            using LeapModel model = DriftNetwork.Create(
                arguments.GetValue(layers),
                arguments.GetValue(hidden),
                arguments.GetValue(heads),
                arguments.GetValue(vocabulary),
                chosenSeed);
            using var benchmark = new DriftBenchmark(model, chosenSeed);
            DriftReport report = benchmark.Run(arguments.GetValue(steps));
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
            report.Write();
        }));
        return command;
    }
}
