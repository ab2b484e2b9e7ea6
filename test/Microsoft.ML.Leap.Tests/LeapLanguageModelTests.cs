using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The model without ML.NET, beside the transformer that it comes from.</summary>
[TestClass]
public class LeapLanguageModelTests
{
    private const string Sentence = "the cat sat on the mat";

    private static LeapLanguageModelTransformer Transformer => TrainedModel.Transformer;

    [TestMethod]
    public void Load_ZipOfAModel_ScoresAsTheTransformer()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.zip");
        TrainedModel.Context.Model.Save(Transformer, null, path);

        using LeapLanguageModel model = LeapLanguageModel.Load(path);

        AssertScoresAsTheTransformer(model);
        Assert.AreEqual(Transformer.Evaluate(TinyModel.View(TrainedModel.Context, TinyModel.Texts)).BigramPerplexity, model.Evaluate(TinyModel.Texts).BigramPerplexity, 1e-9);
    }

    [TestMethod]
    public void Load_ZipOfAPipeline_FindsTheModelInIt()
    {
        MLContext context = TrainedModel.Context;
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.TextColumnName = "Clean";
        using var pipeline = context.Transforms.Text.NormalizeText("Clean", "Text").Append(context.Leap().LanguageModel(options))
            .Fit(TinyModel.View(context, TinyModel.Texts));
        using var stream = new MemoryStream();
        context.Model.Save(pipeline, TinyModel.View(context, TinyModel.Texts).Schema, stream);

        using LeapLanguageModel model = LeapLanguageModel.Load(stream);

        Assert.AreEqual(pipeline.LastTransformer.Model.Score(Sentence), model.Score(Sentence));
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Load_ZipOfAFolder_IsTheFoldersModel(bool isInAFolder)
    {
        using var folder = new TemporaryFolder();
        string saved = Path.Combine(folder.Path, "saved"), zip = Path.Combine(folder.Path, "model.zip");
        TrainedModel.Transformer.Model.Save(saved, WeightFormat.Int8);
        System.IO.Compression.ZipFile.CreateFromDirectory(saved, zip, System.IO.Compression.CompressionLevel.Fastest, includeBaseDirectory: isInAFolder);

        using LeapLanguageModel expected = LeapLanguageModel.Load(saved);
        using LeapLanguageModel model = LeapLanguageModel.Load(zip);

        Assert.AreEqual(expected.Score("the cat sat"), model.Score("the cat sat"));
    }

    [TestMethod]
    public void Load_ZipOfAFolder_WithoutItsSumsOrWithOthers_IsRefused()
    {
        using var folder = new TemporaryFolder();
        string saved = Path.Combine(folder.Path, "saved"), zip = Path.Combine(folder.Path, "model.zip");
        TrainedModel.Transformer.Model.Save(saved);
        File.AppendAllText(Path.Combine(saved, "config.json"), " ");
        System.IO.Compression.ZipFile.CreateFromDirectory(saved, zip);
        StringAssert.Contains(Assert.Throws<FormatException>(() => LeapLanguageModel.Load(zip)).Message, "config.json");

        File.Delete(Path.Combine(saved, "leap.manifest"));
        File.Delete(zip);
        System.IO.Compression.ZipFile.CreateFromDirectory(saved, zip);
        StringAssert.Contains(Assert.Throws<FormatException>(() => LeapLanguageModel.Load(zip)).Message, "leap.manifest");
    }

    [TestMethod]
    public void SaveThenLoad_Folder_IsTheSameModel()
    {
        using var folder = new TemporaryFolder();
        Transformer.Model.Save(folder.Path);
        using LeapLanguageModel model = LeapLanguageModel.Load(folder.Path);
        AssertScoresAsTheTransformer(model);
    }

    [TestMethod]
    [DataRow(WeightFormat.BFloat16, 0.02)]
    [DataRow(WeightFormat.Int8, 0.02)]
    public void SaveThenLoad_SmallerFormat_PredictsNearlyAsWell(WeightFormat format, double tolerance)
    {
        using var folder = new TemporaryFolder();
        Transformer.Model.Save(folder.Path, format);
        using LeapLanguageModel stored = LeapLanguageModel.Load(folder.Path);
        using LeapLanguageModel held = LeapLanguageModel.Load(folder.Path, new LeapLanguageModelOptions { WeightFormat = format });

        double expected = Transformer.Model.Evaluate(TinyModel.Texts).CrossEntropy;
        Assert.AreEqual(expected, stored.Evaluate(TinyModel.Texts).CrossEntropy, tolerance);
        Assert.AreEqual(stored.Evaluate(TinyModel.Texts).CrossEntropy, held.Evaluate(TinyModel.Texts).CrossEntropy, 1e-4);
        Assert.AreNotEqual(expected, stored.Evaluate(TinyModel.Texts).CrossEntropy);
        Assert.IsLessThan(Transformer.Model.SizeInBytes, held.SizeInBytes);
        Assert.AreEqual(format, held.WeightFormat);
    }

    [TestMethod]
    public void Load_WhatIsNoModel_SaysWhatIsWrong()
    {
        using var folder = new TemporaryFolder();
        Assert.ThrowsExactly<FileNotFoundException>(() => LeapLanguageModel.Load(Path.Combine(folder.Path, "absent")));
        Assert.ThrowsExactly<FileNotFoundException>(() => LeapLanguageModel.Load(folder.Path));
        Assert.ThrowsExactly<FormatException>(() => LeapLanguageModel.Load(new MemoryStream([1, 2, 3])));
        Assert.ThrowsExactly<ArgumentException>(() => LeapLanguageModel.Load(new ForwardOnlyStream([1, 2, 3])));

        MLContext context = TrainedModel.Context;
        using var other = new MemoryStream();
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        context.Model.Save(context.Transforms.CopyColumns("Copy", "Text").Fit(data), data.Schema, other);
        StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(() => LeapLanguageModel.Load(other)).Message, "holds no LEAP language model");
    }

    [TestMethod]
    public void Load_DamagedZip_LeavesTheStreamAloneOnceItHasThrown()
    {
        using var stream = new MemoryStream();
        TrainedModel.Context.Model.Save(Transformer, null, stream);
        byte[] zip = stream.ToArray();
        for (int place = zip.Length / 16; place < zip.Length; place += zip.Length / 16)
        {
            byte[] damaged = [.. zip];
            damaged[place] ^= 4;
            using var watched = new WatchedStream(damaged);
            try
            {
                LeapLanguageModel.Load(watched).Dispose();
            }
            catch (FormatException)
            {
            }

            watched.IsClosedToOthers = true;
            Thread.Sleep(5);
            Assert.IsFalse(watched.WasReadLate);
        }
    }

    // ML.NET's own loader throws half a dozen kinds here (docs/models.md). What no sum covers, such as a schema, may be damaged unseen.
    [TestMethod]
    public void Load_OuterZipDamaged_ThrowsNothingButFormatException()
    {
        using var stream = new MemoryStream();
        TrainedModel.Context.Model.Save(Transformer, null, stream);
        byte[] zip = stream.ToArray();
        int refused = 0;
        for (int i = 1; i <= 600; i++)
        {
            // The directory of the zip is at its end.
            byte[] damaged = [.. zip];
            damaged[^i] ^= 0xFF;
            try
            {
                LeapLanguageModel.Load(new MemoryStream(damaged)).Dispose();
            }
            catch (FormatException)
            {
                refused++;
            }
        }

        Assert.IsGreaterThan(300, refused);
    }

    [TestMethod]
    public void Load_FlippedBitAnywhereInTheWeights_ThrowsFormatException()
    {
        using var stream = new MemoryStream();
        TrainedModel.Context.Model.Save(Transformer, null, stream);
        byte[] zip = stream.ToArray();
        var random = new Random(1);
        for (int i = 0; i < 20; i++)
        {
            byte[] damaged = [.. zip];
            damaged[zip.Length / 4 + random.Next(zip.Length / 2)] ^= (byte)(1 << random.Next(8));
            Assert.ThrowsExactly<FormatException>(() => LeapLanguageModel.Load(new MemoryStream(damaged)).Dispose());
        }
    }

    [TestMethod]
    public void ScoreAll_OfManyTexts_GivesEachItsOwnScore()
    {
        LeapLanguageModel model = Transformer.Model;
        string[] texts = [.. Enumerable.Range(0, 700).Select(i => i % 50 == 3 ? "" : TinyModel.Texts[i % TinyModel.Texts.Length] + i)];

        TextScore[] scores = [.. model.ScoreAll(texts)];

        Assert.HasCount(700, scores);
        for (int i = 0; i < texts.Length; i++)
            Assert.AreEqual(model.Score(texts[i]), scores[i], texts[i]);
        Assert.IsTrue(double.IsNaN(scores[3].Perplexity));
    }

    [TestMethod]
    public void ScoreTokens_OfAText_SumToItsLogLikelihood()
    {
        float[] tokens = Transformer.Model.ScoreTokens(TinyModel.Texts[2]);
        Assert.HasCount(Transformer.Tokenizer.Encode(TinyModel.Texts[2]).Count, tokens);
        Assert.AreEqual(Transformer.Model.Score(TinyModel.Texts[2]).LogLikelihood, tokens.Sum(value => (double)value), 1e-4);
    }

    [TestMethod]
    public void Score_ALongText_IsThatOfItsWindows()
    {
        // Longer than the context of 16 tokens: the naive network over each window by itself.
        string text = TinyModel.Texts[2];
        int[] ids = [Transformer.Tokenizer.EndOfTextId, .. Transformer.Tokenizer.Encode(text)];
        int context = Transformer.Config.ContextLength;
        double expected = 0;
        for (int scored = 1; scored < ids.Length;)
        {
            int start = scored == 1 ? 0 : scored - 1 - context / 2;
            int end = Math.Min(ids.Length, start + context + 1);
            expected += TrainedModel.NaiveLogLikelihood(ids[start..end], scored - start);
            scored = end;
        }

        Assert.AreEqual(expected, Transformer.Model.Score(text).LogLikelihood, 1e-3);
    }

    [TestMethod]
    public void Embed_OfAText_IsTheMeanOfWhatTheOutputLayerSees()
    {
        int[] ids = [Transformer.Tokenizer.EndOfTextId, .. Transformer.Tokenizer.Encode("a dog")];
        int d = Transformer.Config.HiddenSize;
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var noGradients = TorchSharp.torch.no_grad();
        float[] hidden = TrainedModel.Network.Hidden(TorchSharp.torch.tensor([.. ids.Select(id => (long)id)], [1, ids.Length])).data<float>().ToArray();

        float[] mean = Transformer.Model.Embed("a dog");
        float[] last = Transformer.Model.Embed("a dog", new EmbeddingOptions { Pooling = EmbeddingPooling.Last });

        for (int k = 0; k < d; k++)
        {
            Assert.AreEqual(Enumerable.Range(1, ids.Length - 1).Average(i => hidden[i * d + k]), mean[k], 1e-4);
            Assert.AreEqual(hidden[(ids.Length - 1) * d + k], last[k], 1e-4);
        }
    }

    [TestMethod]
    public void Embed_OfALayer_DiffersFromAnotherAndRefusesWhatIsNotThere()
    {
        float[] first = Transformer.Model.Embed(Sentence, new EmbeddingOptions { Layer = 0 });
        float[] second = Transformer.Model.Embed(Sentence, new EmbeddingOptions { Layer = 1 });
        Assert.IsTrue(first.Zip(second).Any(pair => Math.Abs(pair.First - pair.Second) > 1e-3));
        Assert.IsTrue(Transformer.Model.Embed("").All(float.IsNaN));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Transformer.Model.Embed(Sentence, new EmbeddingOptions { Layer = 2 }));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EmbeddingOptions { Layer = -1 });
    }

    [TestMethod]
    public void Columns_EmbeddingAndTokenLogLikelihoods_AreTheModels()
    {
        MLContext context = TrainedModel.Context;
        using LeapLanguageModelTransformer model = TinyModel.Fit(context, options =>
        {
            options.EmbeddingColumnName = "Embedding";
            options.Embedding = EmbeddingPooling.Last;
            options.TokenLogLikelihoodsColumnName = "Tokens";
        });
        IDataView scored = model.Transform(TinyModel.View(context, TinyModel.Texts));

        Assert.AreEqual(model.Config.HiddenSize, ((VectorDataViewType)scored.Schema["Embedding"].Type).Size);
        float[][] embeddings = [.. scored.GetColumn<VBuffer<float>>("Embedding").Select(row => row.DenseValues().ToArray())];
        float[][] likelihoods = [.. scored.GetColumn<VBuffer<float>>("Tokens").Select(row => row.DenseValues().ToArray())];
        for (int i = 0; i < embeddings.Length; i++)
        {
            CollectionAssert.AreEqual(model.Model.Embed(TinyModel.Texts[i], new EmbeddingOptions { Pooling = EmbeddingPooling.Last }), embeddings[i]);
            CollectionAssert.AreEqual(model.Model.ScoreTokens(TinyModel.Texts[i]), likelihoods[i]);
        }
    }

    [TestMethod]
    public void Score_FromManyThreads_IsThatOfOne()
    {
        TextScore[] expected = [.. TinyModel.Texts.Select(Transformer.Model.Score)];
        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
            Assert.AreEqual(expected[i % expected.Length], Transformer.Model.Score(TinyModel.Texts[i % expected.Length])));
    }

    [TestMethod]
    public void Options_GenerationNull_IsRefusedByName() => Assert.AreEqual(
        "Generation", Assert.ThrowsExactly<ArgumentNullException>(() => new LeapLanguageModelOptions { Generation = null! }).ParamName);

    [TestMethod]
    public void Score_AnyThreadCount_IsTheSameToTheBit()
    {
        using var folder = new TemporaryFolder();
        Transformer.Model.Save(folder.Path);
        foreach (int threads in new[] { 1, 2, 5 })
        {
            using LeapLanguageModel model = LeapLanguageModel.Load(folder.Path, new LeapLanguageModelOptions { ThreadCount = threads });
            Assert.AreEqual(Transformer.Model.Score(TinyModel.Texts[2]), model.Score(TinyModel.Texts[2]));
        }

        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new LeapLanguageModelOptions { ThreadCount = 0 });
    }

    [TestMethod]
    public void Dispose_BesideCallsInFlight_LetsThemEndAndRefusesLaterOnes()
    {
        using var folder = new TemporaryFolder();
        Transformer.Model.Save(folder.Path);
        for (int round = 0; round < 10; round++)
        {
            LeapLanguageModel model = LeapLanguageModel.Load(folder.Path);
            TextScore expected = model.Score(Sentence);
            using var started = new CountdownEvent(4);
            Task[] calls = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                started.Signal();
                while (true)
                {
                    try
                    {
                        Assert.AreEqual(expected, model.Score(Sentence));
                    }
                    catch (ObjectDisposedException)
                    {
                        return;
                    }
                }
            }))];
            started.Wait();
            model.Dispose();
            Task.WaitAll(calls);
            Assert.ThrowsExactly<ObjectDisposedException>(() => model.Score(Sentence));
            Assert.ThrowsExactly<ObjectDisposedException>(() => model.Embed(Sentence));
            Assert.ThrowsExactly<ObjectDisposedException>(() => model.Generate(Sentence));
            Assert.ThrowsExactly<ObjectDisposedException>(() => model.Save(folder.Path));
        }
    }

    [TestMethod]
    public void Evaluate_OfTexts_EqualsTheTransformers()
    {
        LanguageModelMetrics expected = Transformer.Evaluate(TinyModel.Texts, new EvaluationOptions());
        LanguageModelMetrics actual = Transformer.Model.Evaluate(TinyModel.Texts);
        Assert.AreEqual(expected.LogLikelihood, actual.LogLikelihood);
        Assert.AreEqual(expected.BitsPerByte, actual.BitsPerByte);
    }

    private static void AssertScoresAsTheTransformer(LeapLanguageModel model)
    {
        foreach (string text in TinyModel.Texts)
            Assert.AreEqual(Transformer.Model.Score(text), model.Score(text), text);
        ScoredRowView[] rows = TrainedModel.Score(TinyModel.Texts);
        for (int i = 0; i < rows.Length; i++)
            Assert.AreEqual(rows[i].LogLikelihood, (float)model.Score(TinyModel.Texts[i]).LogLikelihood);
        var options = new GenerationOptions { MaximumNewTokens = 8, Seed = 4, PositionPolicy = PositionPolicy.Restart };
        Assert.AreEqual(Transformer.Generate("the", options), model.Generate("the", options));
        Assert.AreEqual(Transformer.Explain("a dog").ToJson(), model.Explain("a dog").ToJson());
        CollectionAssert.AreEqual(Transformer.Model.Embed(Sentence), model.Embed(Sentence));
    }

    private sealed class WatchedStream(byte[] content) : MemoryStream(content)
    {
        public bool IsClosedToOthers { get; set; }

        public bool WasReadLate { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            WasReadLate |= IsClosedToOthers;
            return base.Read(buffer);
        }
    }
}
