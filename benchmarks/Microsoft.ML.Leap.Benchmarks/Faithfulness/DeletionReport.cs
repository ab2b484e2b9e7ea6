namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Deletion curves of one model.</summary>
internal sealed record DeletionReport
{
    public required int Texts { get; init; }
    public required double MeanRemovableTokens { get; init; }
    public required DeletionCurve MostFocused { get; init; }
    public required DeletionCurve Random { get; init; }
    public required DeletionCurve LeastFocused { get; init; }

    /// <summary>Gets the control: the tokens right before what follows go first.</summary>
    public required DeletionCurve MostRecent { get; init; }

    /// <summary>Gets the curve where only the positions that predict what follows look.</summary>
    public required DeletionCurve MostFocusedByContinuation { get; init; }

    /// <summary>Gets the rise of most focused less that of random, by text.</summary>
    public required Interval MostLessRandom { get; init; }

    /// <summary>Gets the rise of random less that of least focused, by text.</summary>
    public required Interval RandomLessLeast { get; init; }

    public static DeletionReport Of(LeapModel model, IReadOnlyList<DeletionCase> cases, int seed)
    {
        var test = new DeletionTest(model, cases, seed);
        List<double[]> most = test.Rises(item => FocusRanking.Focus(model, item));
        List<double[]> random = test.RandomRises();
        List<double[]> least = test.Rises(item => FocusRanking.Focus(model, item), isLowestFirst: true);
        return new DeletionReport
        {
            Texts = cases.Count,
            MeanRemovableTokens = cases.Average(item => item.RemovableCount),
            MostFocused = DeletionCurve.Of(DeletionTest.Fractions, most),
            Random = DeletionCurve.Of(DeletionTest.Fractions, random),
            LeastFocused = DeletionCurve.Of(DeletionTest.Fractions, least),
            MostRecent = DeletionCurve.Of(DeletionTest.Fractions, test.Rises(FocusRanking.Recency)),
            MostFocusedByContinuation = DeletionCurve.Of(
                DeletionTest.Fractions, test.Rises(item => FocusRanking.FocusOfContinuation(model, item))),
            MostLessRandom = Difference(most, random),
            RandomLessLeast = Difference(random, least),
        };
    }

    private static Interval Difference(List<double[]> a, List<double[]> b) =>
        Interval.Of([.. a.Zip(b, (x, y) => x.Average() - y.Average())]);
}
