using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "context": training speed of LEAP and GPT-2 by the sequence's length.</summary>
internal static class ContextCommand
{
    // Fewer layers than elsewhere: GPT-2's longest step takes long enough. With a small vocabulary the ratio does not depend on them.
    private static readonly TrainingShape _default = new() { LayerCount = 2, VocabularySize = 256 };

    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var lengths = new Option<int[]>("--lengths")
        {
            Description = "Context lengths",
            DefaultValueFactory = _ => [512, 1024, 2048, 4096, 8192, 16384, 32768],
            AllowMultipleArgumentsPerToken = true,
        };
        var layers = new Option<int>("--layers") { Description = "Layers of both networks", DefaultValueFactory = _ => _default.LayerCount };
        var hidden = new Option<int>("--hidden") { Description = "Width of both", DefaultValueFactory = _ => _default.HiddenSize };
        var tokens = new Option<int>("--step-tokens") { Description = "Tokens of a step", DefaultValueFactory = _ => 32768 };
        var seconds = new Option<double>("--seconds")
        {
            Description = "Time for each length; at least three pairs of steps are measured",
            DefaultValueFactory = _ => 20,
        };
        var command = new System.CommandLine.Command("context", "Measure training speed by context length, beside GPT-2.")
        {
            json, lengths, layers, hidden, tokens, seconds,
        };
        command.SetAction(arguments =>
        {
            TrainingShape shape = _default with { LayerCount = arguments.GetValue(layers), HiddenSize = arguments.GetValue(hidden) };
            var benchmark = new ContextBenchmark(
                shape.WithPrecisionOfThisMachine(), TimeSpan.FromSeconds(arguments.GetValue(seconds)), arguments.GetValue(tokens));
            ContextReport report = benchmark.Run(arguments.GetRequiredValue(lengths));
            report.Write();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        });
        return command;
    }
}
