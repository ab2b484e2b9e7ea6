namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class EvaluationTests
{
    private const int Context = 16;

    private static readonly string[] Documents = [.. TinyModel.Texts, "", new string('z', Context), new string('y', 3 * Context)];

    [TestMethod]
    public void Evaluate_DisjointSeparateDocuments_EqualsNaiveLoop()
    {
        LanguageModelMetrics metrics = Evaluate(new EvaluationOptions());
        AssertEqual(Documents.SelectMany(document => NaiveEvaluation.Disjoint(NaiveEvaluation.Stream(document), Context)), metrics);
        Assert.AreEqual(Documents.Sum(document => System.Text.Encoding.UTF8.GetByteCount(document)), metrics.TokenCount);
        Assert.AreEqual(metrics.TokenCount, metrics.ByteCount);
        Assert.AreEqual(Documents.Length - 1, metrics.DocumentCount);
        Assert.AreEqual(Documents.Sum(document => document.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length), metrics.WordCount);
        Assert.IsEmpty(metrics.PositionBuckets);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(Context)]
    public void Evaluate_JoinedStream_ScoresEndOfTextTokensOrNot(int length)
    {
        var options = new EvaluationOptions { EndOfText = EndOfTextHandling.Scored, BlockLength = length };
        var expected = NaiveEvaluation.Disjoint(NaiveEvaluation.Joined(Documents), length);
        AssertEqual(expected, Evaluate(options));

        int end = TrainedModel.Transformer.Tokenizer.EndOfTextId;
        AssertEqual(expected.Where(entry => entry.Id != end), Evaluate(options with { EndOfText = EndOfTextHandling.NotScored }));
    }

    [TestMethod]
    [DataRow(9, 1)]
    [DataRow(9, 4)]
    [DataRow(Context, 5)]
    [DataRow(Context, Context)]
    public void Evaluate_Strided_EqualsNaiveLoop(int length, int stride)
    {
        var options = new EvaluationOptions
        {
            Mode = EvaluationMode.Strided,
            EndOfText = EndOfTextHandling.Scored,
            BlockLength = length,
            Stride = stride,
        };
        AssertEqual(NaiveEvaluation.Strided(NaiveEvaluation.Joined(Documents), length, stride), Evaluate(options));
    }

    [TestMethod]
    public void Evaluate_StridedByDefault_EqualsTheScoredView()
    {
        LanguageModelMetrics expected = TrainedModel.Transformer.Evaluate(TinyModel.View(TrainedModel.Context, Documents));
        LanguageModelMetrics actual = Evaluate(new EvaluationOptions { Mode = EvaluationMode.Strided });
        Assert.AreEqual(expected.LogLikelihood, actual.LogLikelihood, 1e-5 * Math.Abs(expected.LogLikelihood));
        Assert.AreEqual(expected.TokenCount, actual.TokenCount);
        Assert.AreEqual(expected.WordCount, actual.WordCount);
        Assert.AreEqual(expected.ByteCount, actual.ByteCount);
        Assert.AreEqual(expected.DocumentCount, actual.DocumentCount);
    }

    [TestMethod]
    public void Evaluate_BlocksWithoutSharedBorders_LeaveOutTheFirstTokenAndTheRemainder()
    {
        var options = new EvaluationOptions
        {
            EndOfText = EndOfTextHandling.Scored,
            DocumentsPerStream = 3,
            BlockLength = 10,
            PredictBlockStarts = false,
            DropRemainder = true,
        };
        var expected = Documents.Chunk(3)
            .SelectMany(group => NaiveEvaluation.Joined(group).Skip(1).Chunk(10))
            .Where(ids => ids.Length == 10)
            .SelectMany(ids => NaiveEvaluation.Block(ids, 0, 9, 0));
        LanguageModelMetrics metrics = Evaluate(options);
        AssertEqual(expected, metrics);
        Assert.IsTrue(double.IsNaN(metrics.WordPerplexity) && double.IsNaN(metrics.BytePerplexity) && double.IsNaN(metrics.BitsPerByte));
    }

    [TestMethod]
    public void Evaluate_AnyBatchSize_GivesTheSame()
    {
        var options = new EvaluationOptions { EndOfText = EndOfTextHandling.Scored };
        LanguageModelMetrics expected = Evaluate(options);
        foreach (int size in new[] { 1, 3, 1000 })
        {
            LanguageModelMetrics actual = Evaluate(options with { BatchSize = size });
            Assert.AreEqual(expected.TokenCount, actual.TokenCount);
            Assert.AreEqual(expected.CrossEntropy, actual.CrossEntropy, 1e-6);
        }
    }

    [TestMethod]
    public void Evaluate_PositionBuckets_HoldEachPositionsLosses()
    {
        var options = new EvaluationOptions { EndOfText = EndOfTextHandling.Scored, PositionBucketSize = 3 };
        var expected = NaiveEvaluation.Disjoint(NaiveEvaluation.Joined(Documents), Context).ToLookup(entry => entry.Position / 3);

        IReadOnlyList<PositionBucket> buckets = Evaluate(options).PositionBuckets;

        Assert.HasCount(6, buckets);
        for (int i = 0; i < buckets.Count; i++)
        {
            Assert.AreEqual(3 * i, buckets[i].FirstPosition);
            Assert.AreEqual(expected[i].Count(), buckets[i].TokenCount);
            Assert.AreEqual(expected[i].Average(entry => entry.Loss), buckets[i].CrossEntropy, 1e-5);
        }
    }

    [TestMethod]
    public void Evaluate_PositionsWithoutScoredTokens_AreEmptyBuckets()
    {
        // 2 + 1 tokens of a text in blocks of two: the shifted last block scores its last position alone.
        var options = new EvaluationOptions { BlockLength = 2, ShiftLastBlock = true, PositionBucketSize = 1 };
        IReadOnlyList<PositionBucket> buckets = TrainedModel.Transformer.Evaluate(["abc"], options).PositionBuckets;
        CollectionAssert.AreEqual(new[] { 1L, 2L }, buckets.Select(bucket => bucket.TokenCount).ToArray());

        IReadOnlyList<PositionBucket> later = TrainedModel.Transformer.Evaluate(
            [""], options with { EndOfText = EndOfTextHandling.NotScored }).PositionBuckets;
        Assert.IsEmpty(later);
    }

    [TestMethod]
    public void Evaluate_View_EqualsItsTexts()
    {
        var options = new EvaluationOptions { EndOfText = EndOfTextHandling.Scored };
        LanguageModelMetrics metrics = TrainedModel.Transformer.Evaluate(TinyModel.View(TrainedModel.Context, [.. Documents, null]), options);
        Assert.AreEqual(Evaluate(options).LogLikelihood, metrics.LogLikelihood);
        Assert.AreEqual(Documents.Length - 1, metrics.DocumentCount);
    }

    [TestMethod]
    public void Evaluate_NothingToScore_GivesNaN()
    {
        LanguageModelMetrics metrics = TrainedModel.Transformer.Evaluate(["", null!], new EvaluationOptions());
        Assert.AreEqual(0, metrics.TokenCount);
        Assert.AreEqual(0, metrics.DocumentCount);
        Assert.IsTrue(double.IsNaN(metrics.Perplexity));
        Assert.AreEqual(0, TrainedModel.Transformer.Evaluate(["abc"], EvaluationOptions.LeapNotebook).TokenCount);
    }

    [TestMethod]
    public void Evaluate_PrepareText_PredictsItsResultAndCountsTheOriginal()
    {
        var options = new EvaluationOptions { PrepareText = text => text.Replace("  ", " ", StringComparison.Ordinal) };
        LanguageModelMetrics expected = TrainedModel.Transformer.Evaluate(["a b c"], new EvaluationOptions());
        LanguageModelMetrics actual = TrainedModel.Transformer.Evaluate(["a  b  c"], options);
        Assert.AreEqual(expected.LogLikelihood, actual.LogLikelihood);
        Assert.AreEqual((5L, 7L), (actual.TokenCount, actual.ByteCount));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(
                () => TrainedModel.Transformer.Evaluate(["a"], options with { PrepareText = _ => null! })).Message,
            "PrepareText");
    }

    private static LanguageModelMetrics Evaluate(EvaluationOptions options) => TrainedModel.Transformer.Evaluate(Documents, options);

    private static void AssertEqual(IEnumerable<(int Position, int Id, double Loss)> expected, LanguageModelMetrics actual)
    {
        (int, int, double Loss)[] entries = [.. expected];
        Assert.AreEqual(entries.Length, actual.TokenCount);
        Assert.AreEqual(entries.Average(entry => entry.Loss), actual.CrossEntropy, 1e-5);
    }
}
