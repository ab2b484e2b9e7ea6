namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Trains LEAP and GPT-2 on sequences of several lengths, the same number of tokens a step. All take turns, step by step: the
/// lengths are compared with one another too.</summary>
internal sealed class ContextBenchmark(TrainingShape shape, TimeSpan timeALength, int tokensAStep)
{
    // Three make a median that one disturbed pair cannot move.
    private const int LeastPairs = 3;
    private const int MostPairs = 25;

    // .NET compiles a method for speed only once it has often run; at other lengths the first step only allocates.
    private const int FirstWarmups = 10;

    private readonly List<MatrixRate> _rates = [];

    public ContextReport Run(IReadOnlyList<int> lengths)
    {
        List<ContextPairs> pairs = [];
        try
        {
            using var products = new MatrixProductRates(shape.Config);
            foreach (int length in lengths)
            {
                pairs.Add(new ContextPairs(shape with { ContextLength = length, BatchSize = Math.Max(1, tokensAStep / length) }));
                pairs[^1].WarmUp(pairs.Count == 1 ? FirstWarmups : 1);
            }

            Measure(pairs, products);
            return Report(pairs);
        }
        finally
        {
            pairs.ForEach(pair => pair.Dispose());
        }
    }

    private void Measure(List<ContextPairs> pairs, MatrixProductRates products)
    {
        bool isMore = true;
        while (isMore)
        {
            isMore = false;
            foreach (ContextPairs pair in pairs.Where(IsWanted))
            {
                _rates.Add(products.Measure());
                pair.Measure();
                isMore = true;
            }
        }
    }

    private bool IsWanted(ContextPairs pair) =>
        pair.Count < LeastPairs || (pair.Elapsed < timeALength && pair.Count < MostPairs);

    private ContextReport Report(List<ContextPairs> pairs)
    {
        MatrixRate rate = MatrixRate.Median(_rates);
        return new ContextReport
        {
            Machine = MachineFacts.Collect(),
            Precision = shape.PrecisionName,
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Shape = $"{shape.LayerCount} layers, hidden size {shape.HiddenSize}, {shape.HeadCount} heads, vocabulary {shape.VocabularySize}, " +
                $"{tokensAStep} tokens a step",
            Rows = [.. pairs.Select(pair => pair.Result())],
        };
    }
}
