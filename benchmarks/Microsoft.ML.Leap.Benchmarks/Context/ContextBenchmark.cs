using System.Diagnostics;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Trains LEAP and GPT-2 on sequences of one length after the other, the same number of tokens a step, their steps in turn.</summary>
internal sealed class ContextBenchmark(TrainingShape shape, TimeSpan timeALength, int tokensAStep)
{
    // Three make a median that one disturbed pair cannot move.
    private const int LeastPairs = 3;
    private const int MostPairs = 25;

    private readonly List<MatrixRate> _rates = [];

    public ContextReport Run(IReadOnlyList<int> lengths)
    {
        using var products = new MatrixProductRates(shape.Config);
        ContextResult[] rows = [.. lengths.Select(length => Measure(length, products))];
        MatrixRate rate = MatrixRate.Median(_rates);
        return new ContextReport
        {
            Machine = MachineFacts.Collect(),
            Precision = shape.PrecisionName,
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Shape = $"{shape.LayerCount} layers, hidden size {shape.HiddenSize}, {shape.HeadCount} heads, vocabulary {shape.VocabularySize}, " +
                $"{tokensAStep} tokens a step",
            Rows = rows,
        };
    }

    private ContextResult Measure(int length, MatrixProductRates products)
    {
        int batchSize = Math.Max(1, tokensAStep / length);
        TrainingShape sizes = shape with { ContextLength = length, BatchSize = batchSize };
        using TrainingContestant leap = TrainingContestant.Create(TrainingContestant.Leap, sizes);
        using TrainingContestant gpt2 = TrainingContestant.Create(TrainingContestant.Gpt2, sizes);

        // The first steps still allocate.
        leap.Step();
        gpt2.Step();
        List<double> leapSeconds = [];
        List<double> gpt2Seconds = [];
        long start = Stopwatch.GetTimestamp();
        while (leapSeconds.Count < LeastPairs || (Stopwatch.GetElapsedTime(start) < timeALength && leapSeconds.Count < MostPairs))
        {
            _rates.Add(products.Measure());
            leapSeconds.Add(leap.Step());
            gpt2Seconds.Add(gpt2.Step());
        }

        return new ContextResult(
            length,
            batchSize,
            leapSeconds.Count,
            sizes.TokensAStep / Statistics.Median(leapSeconds),
            sizes.TokensAStep / Statistics.Median(gpt2Seconds),
            Statistics.MedianRatio(gpt2Seconds, leapSeconds));
    }
}
