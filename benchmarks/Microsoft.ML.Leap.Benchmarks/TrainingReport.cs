using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "training" measured. Rates and times are medians of the rounds, ratios and fractions medians of pairs.</summary>
internal sealed record TrainingReport
{
    public required MachineFacts Machine { get; init; }
    public required string Shape { get; init; }
    public required int Rounds { get; init; }

    /// <summary>That of LEAP and GPT-2; the naive form is in single precision.</summary>
    public required string Precision { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required double TokensPerSecondLeap { get; init; }
    public required double TokensPerSecondNaive { get; init; }
    public required double TokensPerSecondNaiveTunedAllocator { get; init; }
    public required double TokensPerSecondGpt2 { get; init; }

    /// <summary>How many times as many tokens per second LEAP takes.</summary>
    public required double RatioToNaive { get; init; }
    public required double RatioToNaiveTunedAllocator { get; init; }
    public required double RatioToGpt2 { get; init; }

    /// <summary>The time of the step's matrix products at the machine's rate, over the time of the step.</summary>
    public required double LimitFraction { get; init; }
    public required double PeakMegabytesLeap { get; init; }
    public required double PeakMegabytesNaive { get; init; }
    public required double PeakMegabytesNaiveTunedAllocator { get; init; }
    public required double PeakMegabytesGpt2 { get; init; }
    public required double StepMillisecondsLeap { get; init; }
    public required double AttentionMilliseconds { get; init; }
    public required double BlockProductsMilliseconds { get; init; }
    public required double HeadAndLossMilliseconds { get; init; }
    public required double OptimizerAndClippingMilliseconds { get; init; }

    /// <summary>The step less its parts: layer norms, residuals, dropout of the blocks, embeddings, the making of the batch.</summary>
    public required double OtherMilliseconds { get; init; }

    public static TrainingReport FromRounds(
        MachineFacts machine, TrainingShape shape, IReadOnlyList<TrainingRound> rounds, IReadOnlyDictionary<string, ContestantFacts> facts)
    {
        double[] leap = [.. rounds.Select(round => round.Leap)];
        double[] gpt2 = [.. rounds.Select(round => round.Gpt2)];
        double[] naive = [.. rounds.Select(round => round.Naive)];
        double[] tuned = [.. rounds.Select(round => round.NaiveTunedAllocator)];
        MatrixRate rate = MatrixRate.Median([.. rounds.Select(round => round.Rate)]);
        double[] ideal = [.. rounds.Select(round => ProductWork.OperationsPerStep(shape) / (round.Rate.In(shape.UsesBFloat16) * 1e9))];
        double TokensPerSecond(double[] seconds) => shape.TokensPerStep / Statistics.Median(seconds);
        double Milliseconds(Func<TrainingRound, double> seconds) => 1000 * Statistics.Median(rounds.Select(seconds));
        return new TrainingReport
        {
            Machine = machine,
            Shape = shape.ToString(),
            Rounds = rounds.Count,
            Precision = shape.PrecisionName,
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            TokensPerSecondLeap = TokensPerSecond(leap),
            TokensPerSecondNaive = TokensPerSecond(naive),
            TokensPerSecondNaiveTunedAllocator = TokensPerSecond(tuned),
            TokensPerSecondGpt2 = TokensPerSecond(gpt2),
            RatioToNaive = Statistics.MedianRatio(naive, leap),
            RatioToNaiveTunedAllocator = Statistics.MedianRatio(tuned, leap),
            RatioToGpt2 = Statistics.MedianRatio(gpt2, leap),
            LimitFraction = Statistics.MedianRatio(ideal, leap),
            PeakMegabytesLeap = facts[TrainingContestant.Leap].PeakMegabytes,
            PeakMegabytesNaive = facts[TrainingWorker.NaiveByItself].PeakMegabytes,
            PeakMegabytesNaiveTunedAllocator = facts[TrainingContestant.Naive].PeakMegabytes,
            PeakMegabytesGpt2 = facts[TrainingContestant.Gpt2].PeakMegabytes,
            StepMillisecondsLeap = Milliseconds(round => round.Leap),
            AttentionMilliseconds = Milliseconds(round => round.Parts.Attention),
            BlockProductsMilliseconds = Milliseconds(round => round.Parts.BlockProducts),
            HeadAndLossMilliseconds = Milliseconds(round => round.Parts.HeadAndLoss),
            OptimizerAndClippingMilliseconds = Milliseconds(round => round.Parts.OptimizerAndClipping),
            OtherMilliseconds = Milliseconds(round => round.Leap - round.Parts.Sum),
        };
    }
}

/// <summary>One round of the training benchmark: seconds of a step of each contestant, taken one after the other.</summary>
internal sealed record TrainingRound(
    MatrixRate Rate, double Leap, double Gpt2, double NaiveTunedAllocator, double Naive, PartTimes Parts);

/// <summary>The matrix products of one LEAP training step, in floating-point operations.</summary>
internal static class ProductWork
{
    // Forward, and backward once for the gradient of each factor.
    private const double Passes = 3;

    /// <summary>Counts projections (d x 4d), boom (d x 4d) and unboom (4d x d) of each layer, and the output layer (d x V); an addition
    /// and a multiplication are two operations.</summary>
    public static double OperationsPerStep(TrainingShape shape)
    {
        double d = shape.HiddenSize;
        double perToken = shape.LayerCount * 12 * d * d + d * shape.VocabularySize;
        return 2 * Passes * perToken * shape.TokensPerStep;
    }
}

/// <summary>Shows a <see cref="TrainingReport"/> on the console.</summary>
internal static class TrainingTables
{
    public static void Write(TrainingReport report)
    {
        report.Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"{report.Shape}; medians of {report.Rounds} rounds");
        AnsiConsole.MarkupLineInterpolated(
            $"matrix products: {report.MatmulGflopsFloat32:0} GFLOP/s fp32, {report.MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.Write(Contestants(report));
        AnsiConsole.Write(Parts(report));
        AnsiConsole.MarkupLineInterpolated($"LEAP's step spends {report.LimitFraction:P0} of its time as its matrix products would at that rate.");
    }

    private static Table Contestants(TrainingReport report)
    {
        Table table = new Table().AddColumns("", "precision", "allocator settings", "tokens/s", "LEAP is faster by", "peak MB");
        Add("LEAP", report.Precision, "yes", report.TokensPerSecondLeap, null, report.PeakMegabytesLeap);
        Add("GPT-2", report.Precision, "yes", report.TokensPerSecondGpt2, report.RatioToGpt2, report.PeakMegabytesGpt2);
        Add(
            "naive LEAP",
            "fp32",
            "yes",
            report.TokensPerSecondNaiveTunedAllocator,
            report.RatioToNaiveTunedAllocator,
            report.PeakMegabytesNaiveTunedAllocator);
        Add("naive LEAP", "fp32", "no", report.TokensPerSecondNaive, report.RatioToNaive, report.PeakMegabytesNaive);
        return table;

        void Add(string name, string precision, string settings, double tokens, double? ratio, double megabytes) => table.AddRow(
            name,
            precision,
            report.Machine.AllocatorSettings ? settings : "no",
            tokens.ToString("N0", CultureInfo.InvariantCulture),
            ratio?.ToString("0.00 times", CultureInfo.InvariantCulture) ?? "",
            megabytes.ToString("N0", CultureInfo.InvariantCulture));
    }

    private static Table Parts(TrainingReport report)
    {
        Table table = new Table().AddColumns("part of LEAP's step", "ms", "share");
        Add("attention", report.AttentionMilliseconds);
        Add("matrix products and GELU of the blocks", report.BlockProductsMilliseconds);
        Add("output layer and loss", report.HeadAndLossMilliseconds);
        Add("optimizer and clipping", report.OptimizerAndClippingMilliseconds);
        Add("other", report.OtherMilliseconds);
        Add("step", report.StepMillisecondsLeap);
        return table;

        void Add(string name, double milliseconds) => table.AddRow(
            name,
            milliseconds.ToString("N1", CultureInfo.InvariantCulture),
            (milliseconds / report.StepMillisecondsLeap).ToString("P0", CultureInfo.InvariantCulture));
    }
}
