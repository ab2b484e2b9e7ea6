using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "generation": what a token costs by its position, beside recomputation and GPT-2 with a key-value cache.</summary>
internal static class GenerationCommand
{
    private static readonly GenerationSettings _default = new();

    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        Option<int> rounds = PositiveOption.Create("--rounds", "Rounds of measurements", _default.Rounds);

        // Only the default sizes are the benchmark.
        Option<int> layers = Hidden("--layers", _default.LayerCount);
        Option<int> hidden = Hidden("--hidden", _default.HiddenSize);
        Option<int> heads = Hidden("--heads", _default.HeadCount);
        Option<int> vocabulary = Hidden("--vocabulary", _default.VocabularySize);
        Option<int> context = Hidden("--context", _default.Context);
        Option<int> longContext = Hidden("--long-context", _default.LongContext);
        var positions = new Option<int[]>("--positions")
        {
            Hidden = true,
            DefaultValueFactory = _ => [.. _default.Positions],
            AllowMultipleArgumentsPerToken = true,
        };
        var command = new System.CommandLine.Command("generation", "Measure what a token costs by its position, beside GPT-2 with a cache.")
        {
            json, rounds, layers, hidden, heads, vocabulary, context, longContext, positions,
        };
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            using var benchmark = new GenerationBenchmark(new GenerationSettings
            {
                LayerCount = arguments.GetValue(layers),
                HiddenSize = arguments.GetValue(hidden),
                HeadCount = arguments.GetValue(heads),
                VocabularySize = arguments.GetValue(vocabulary),
                Context = arguments.GetValue(context),
                LongContext = arguments.GetValue(longContext),
                Positions = arguments.GetRequiredValue(positions),
                Rounds = arguments.GetValue(rounds),
            });
            GenerationReport report = benchmark.Run();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
            report.Write();
        }));
        return command;
    }

    private static Option<int> Hidden(string name, int value)
    {
        Option<int> option = PositiveOption.Create(name, "", value);
        option.Hidden = true;
        return option;
    }
}
