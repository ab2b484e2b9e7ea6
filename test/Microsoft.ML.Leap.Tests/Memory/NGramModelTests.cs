namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class NGramModelTests
{
    private const int A = 0;
    private const int B = 1;
    private const int C = 2;

    // Counts of counts by hand: a 3, b 2, c 1, so N(1) = N(2) = N(3) = 1, N(4) = 0: Y = 1/3, D(1) = 1 - 2/3, D(2) = 2 - 1, D(3) = 3.
    // All 6 occurrences share D(1) + D(2) + D(3) = 13/3 with the uniform distribution over 4 tokens.
    [TestMethod]
    [DataRow(A, (3 - 3 + 13.0 / 12) / 6)]
    [DataRow(B, (2 - 1 + 13.0 / 12) / 6)]
    [DataRow(C, (1 - 1.0 / 3 + 13.0 / 12) / 6)]
    [DataRow(3, 13.0 / 12 / 6)]
    public void LogLikelihood_OfUnigram_IsTheOneByHand(int id, double probability)
    {
        var model = new NGramModel(1, 4);
        model.Add([A, A, B, A, B, C]);
        Assert.AreEqual(Math.Log(probability), model.LogLikelihood([id]), 1e-12);
    }

    // Documents "a b" (3 times), "a c" (2) and "b". Bigrams: start a 5, start b 1, a b 3, a c 2: N(1) = N(2) = N(3) = 1, N(4) = 0, so Y = 1/3,
    // D(1) = 1/3, D(2) = 1, D(3) = 3. Different tokens before a, b, c: 1 (start), 2 (start, a), 1 (a): N(1) = 2, N(2) = 1: Y = 1/2,
    // D(1) = 1 - 2 x 1/2 x 1/2 = 1/2, D(2) = 2 - 3 x 1/2 x 0 = 2.
    [TestMethod]
    public void LogLikelihood_OfBigram_IsTheOneByHand()
    {
        NGramModel model = new(2, 4);
        foreach (int[] document in (int[][])[[A, B], [A, B], [A, B], [A, C], [A, C], [B]])
            model.Add(document);

        double shared = 0.5 + 2 + 0.5;
        double a = (1 - 0.5 + shared / 4) / 4;
        double b = (2 - 2 + shared / 4) / 4;
        double c = (1 - 0.5 + shared / 4) / 4;
        double startA = (5 - 3 + (3 + 1.0 / 3) * a) / 6;
        double startB = (1 - 1.0 / 3 + (3 + 1.0 / 3) * b) / 6;
        double aThenB = (3 - 3 + (3 + 1) * b) / 5;
        double aThenC = (2 - 1 + (3 + 1) * c) / 5;
        Assert.AreEqual(Math.Log(startA * aThenB), model.LogLikelihood([A, B]), 1e-12);
        Assert.AreEqual(Math.Log(startA * aThenC), model.LogLikelihood([A, C]), 1e-12);

        // Nothing follows b in the counts: the distribution without context stands in.
        Assert.AreEqual(Math.Log(startB * a), model.LogLikelihood([B, A]), 1e-12);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(5)]
    public void LogLikelihood_OverAllDocumentsOfALength_HasProbabilitiesOfSumOne(int order)
    {
        const int Vocabulary = 5;
        var random = new Random(1);
        var model = new NGramModel(order, Vocabulary);
        for (int document = 0; document < 40; document++)
            model.Add([.. Enumerable.Range(0, random.Next(1, 9)).Select(_ => random.Next(1 + random.Next(Vocabulary)))]);

        double sum = 0;
        for (int code = 0; code < Vocabulary * Vocabulary * Vocabulary * Vocabulary; code++)
            sum += Math.Exp(model.LogLikelihood([code % 5, code / 5 % 5, code / 25 % 5, code / 125]));

        Assert.AreEqual(1, sum, 1e-9);
    }

    [TestMethod]
    public void LogLikelihood_WithoutCounts_IsUniform() =>
        Assert.AreEqual(2 * Math.Log(1.0 / 7), new NGramModel(3, 7).LogLikelihood([0, 6]), 1e-12);

    [TestMethod]
    public void LogLikelihood_AfterMoreDocuments_FollowsThem()
    {
        var model = new NGramModel(2, 3);
        model.Add([A, B, C]);
        double before = model.LogLikelihood([A, B]);
        for (int i = 0; i < 5; i++)
            model.Add([A, B, C]);
        Assert.IsGreaterThan(before, model.LogLikelihood([A, B]));
    }

    [TestMethod]
    public void Add_IdOutsideTheVocabulary_Throws()
    {
        var model = new NGramModel(2, 3);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.Add([0, 3]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.LogLikelihood([-1]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new NGramModel(0, 3));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new NGramModel(2, 0));
    }
}
