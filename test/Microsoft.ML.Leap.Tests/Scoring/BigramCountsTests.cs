namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class BigramCountsTests
{
    private static readonly LeapTokenizer Tokenizer = TokenizerOptions.Bytes(["<end>"]).Create([], CancellationToken.None);

    [TestMethod]
    public void Score_Text_IsThatOfNGramModelsOfTheSameTexts()
    {
        string[] texts = ["the cat", "", "a cat sat", "that mat", "the"];
        BigramCounts counts = Count(texts);
        var unigram = new NGramModel(1, Tokenizer.VocabularySize);
        var bigram = new NGramModel(2, Tokenizer.VocabularySize);
        foreach (string text in texts)
        {
            unigram.Add(Tokenizer.Encode(text));
            bigram.Add(Tokenizer.Encode(text));
        }

        IReadOnlyList<int> ids = Tokenizer.Encode("that dog sat");
        BaselineScore score = counts.Score(ids, Tokenizer.EndOfTextId);

        Assert.AreEqual(ids.Count, score.TokenCount);
        Assert.AreEqual(unigram.LogLikelihood(ids), score.UnigramLogLikelihood, 1e-9);
        Assert.AreEqual(bigram.LogLikelihood(ids), score.BigramLogLikelihood, 1e-9);
    }

    [TestMethod]
    public void Score_EndOfTextWithin_PartsTheDocuments()
    {
        BigramCounts counts = Count(["ab", "ba"]);
        BaselineScore joined = counts.Score([.. Tokenizer.Encode("ab"), Tokenizer.EndOfTextId, .. Tokenizer.Encode("ba"), Tokenizer.EndOfTextId], Tokenizer.EndOfTextId);
        BaselineScore apart = counts.Score(Tokenizer.Encode("ab"), Tokenizer.EndOfTextId) + counts.Score(Tokenizer.Encode("ba"), Tokenizer.EndOfTextId);
        Assert.AreEqual(apart, joined);
    }

    [TestMethod]
    public void Write_ThenRead_GivesTheSameScores()
    {
        BigramCounts counts = Count(["the cat sat on the mat", "naïve ☕"]);
        using var stream = new MemoryStream();
        counts.Write(stream);
        stream.Position = 0;

        BigramCounts read = BigramCounts.Read(stream);

        IReadOnlyList<int> ids = Tokenizer.Encode("the naïve mat");
        Assert.AreEqual(counts.Score(ids, Tokenizer.EndOfTextId), read.Score(ids, Tokenizer.EndOfTextId));
        Assert.IsLessThan(200, stream.Length);
    }

    [TestMethod]
    public void Read_DamagedBytes_ThrowsFormatExceptionOrGivesCounts()
    {
        using var stream = new MemoryStream();
        Count(["the cat sat on the mat"]).Write(stream);
        byte[] bytes = stream.ToArray();
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. bytes.Take(i % 3 == 0 ? random.Next(bytes.Length) : bytes.Length)];
            if (damaged.Length > 0)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                BigramCounts read = BigramCounts.Read(new MemoryStream(damaged));
                if (read.VocabularySize == Tokenizer.VocabularySize)
                    Assert.IsTrue(double.IsFinite(read.Score(Tokenizer.Encode("cat"), Tokenizer.EndOfTextId).BigramLogLikelihood));
            }
            catch (FormatException)
            {
                refused++;
            }
        }

        Assert.IsGreaterThan(800, refused);
    }

    [TestMethod]
    [DataRow(int.MaxValue - 5, true)]
    [DataRow(int.MaxValue - 4, false)]
    [DataRow(int.MaxValue, false)]
    public void Read_CountsWhoseSumOverflows_ThrowsFormatException(int count, bool fits)
    {
        int size = Tokenizer.VocabularySize;
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write((byte)1);
        writer.Write7BitEncodedInt(size);
        writer.Write7BitEncodedInt(2);

        // The same token first in a document and after another.
        writer.Write7BitEncodedInt64('a');
        writer.Write7BitEncodedInt(5);
        writer.Write7BitEncodedInt64(size);
        writer.Write7BitEncodedInt(count);
        writer.Flush();
        stream.Position = 0;

        if (fits)
            Assert.IsTrue(double.IsFinite(BigramCounts.Read(stream).Score(Tokenizer.Encode("a"), Tokenizer.EndOfTextId).UnigramLogLikelihood));
        else
            StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => BigramCounts.Read(stream)).Message, "count 1 is damaged");
    }

    [TestMethod]
    public void Evaluate_OfLoadedModel_GivesThePerplexitiesOfTheCountsAsBefore()
    {
        LeapLanguageModelTransformer model = TrainedModel.Transformer;
        IDataView data = TinyModel.View(TrainedModel.Context, "the cat ran", null, "a dog sat");
        LanguageModelMetrics metrics = model.Evaluate(data);
        using var stream = new MemoryStream();
        TrainedModel.Context.Model.Save(model, null, stream);
        stream.Position = 0;
        using var loaded = (LeapLanguageModelTransformer)TrainedModel.Context.Model.Load(stream, out _);

        Assert.IsGreaterThan(metrics.BigramPerplexity, metrics.UnigramPerplexity);
        Assert.IsGreaterThan(1, metrics.BigramPerplexity);
        Assert.AreEqual(metrics.BigramPerplexity, loaded.Evaluate(data).BigramPerplexity, 1e-9);
        Assert.AreEqual(metrics.UnigramPerplexity, loaded.Evaluate(data).UnigramPerplexity, 1e-9);
        Assert.AreEqual(metrics.BigramPerplexity, TrainedModel.Context.Leap().Evaluate(model.Transform(data)).BigramPerplexity, 1e-9);
        Assert.AreEqual(metrics.BigramPerplexity, model.Evaluate(["the cat ran", "a dog sat"], EvaluationOptions.RollingDocuments).BigramPerplexity, 1e-9);
        StringAssert.Contains(metrics.ToString(), "bigram");
    }

    [TestMethod]
    public void Evaluate_OfModelWithoutCounts_GivesNaN()
    {
        using var folder = new TemporaryFolder();
        TrainedModel.Transformer.SavePretrained(folder.Path);
        using LeapLanguageModelTransformer loaded = TrainedModel.Context.Leap().LoadPretrained(folder.Path, device: "cpu");

        LanguageModelMetrics metrics = loaded.Evaluate(TinyModel.View(TrainedModel.Context, "the cat"));

        Assert.IsTrue(double.IsNaN(metrics.BigramPerplexity) && double.IsNaN(metrics.UnigramPerplexity));
        Assert.DoesNotContain("bigram", metrics.ToString());
    }

    private static BigramCounts Count(string[] texts) =>
        BigramCounts.Count(texts.Select(text => Tokenizer.Encode(text).ToArray()), Tokenizer);
}
