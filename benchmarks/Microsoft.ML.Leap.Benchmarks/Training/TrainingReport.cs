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

    /// <summary>How many times as many tokens a second LEAP takes.</summary>
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

    public static TrainingReport Of(
        MachineFacts machine, TrainingShape shape, IReadOnlyList<TrainingRound> rounds, IReadOnlyDictionary<string, ContestantFacts> facts)
    {
        double[] leap = [.. rounds.Select(round => round.Leap)];
        double[] gpt2 = [.. rounds.Select(round => round.Gpt2)];
        double[] naive = [.. rounds.Select(round => round.Naive)];
        double[] tuned = [.. rounds.Select(round => round.NaiveTunedAllocator)];
        MatrixRate rate = MatrixRate.Median([.. rounds.Select(round => round.Rate)]);
        double[] ideal = [.. rounds.Select(round => ProductWork.OperationsAStep(shape) / (round.Rate.In(shape.UsesBFloat16) * 1e9))];
        double TokensPerSecond(double[] seconds) => shape.TokensAStep / Statistics.Median(seconds);
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
