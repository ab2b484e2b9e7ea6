using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "scoring": rows a second by row length, batched and one at a time.</summary>
internal static class ScoringCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var rounds = new Option<int>("--rounds") { Description = "Measurements of each length", DefaultValueFactory = _ => 5 };
        var vocabulary = new Option<int>("--vocabulary") { Description = "Tokens of the vocabulary", DefaultValueFactory = _ => 8192 };
        var context = new Option<int>("--context") { Description = "Context length of the model", DefaultValueFactory = _ => 2048 };
        var lengths = new Option<int[]>("--tokens")
        {
            Description = "Row lengths in tokens",
            DefaultValueFactory = _ => [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096],
            AllowMultipleArgumentsPerToken = true,
        };
        var tokensARound = new Option<int>("--round-tokens")
        {
            Description = "Tokens of one measurement",
            Hidden = true,
            DefaultValueFactory = _ => 32768,
        };
        var command = new System.CommandLine.Command("scoring", "Measure rows a second by row length, batched and one at a time.")
        {
            json, rounds, vocabulary, context, lengths, tokensARound,
        };
        command.SetAction(arguments =>
        {
            ScoringReport report = Run(
                arguments.GetValue(vocabulary),
                arguments.GetValue(context),
                arguments.GetValue(rounds),
                arguments.GetValue(tokensARound),
                arguments.GetRequiredValue(lengths));
            report.Write();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        });
        return command;
    }

    internal static ScoringReport Run(int vocabularySize, int contextLength, int rounds, int tokensARound, IReadOnlyList<int> lengths)
    {
        using var benchmark = new ScoringBenchmark(vocabularySize, contextLength, rounds, tokensARound);
        using var products = new MatrixProductRates(benchmark.Config);
        List<MatrixRate> rates = [];
        IReadOnlyList<ScoringResult> rows = benchmark.Run(lengths, () => rates.Add(products.Measure()));
        MatrixRate rate = MatrixRate.Median(rates);
        return new ScoringReport
        {
            Machine = MachineFacts.Collect(),
            Precision = "fp32",
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Model = benchmark.Config.ToString(),
            Rounds = rounds,
            Rows = rows,
        };
    }
}
