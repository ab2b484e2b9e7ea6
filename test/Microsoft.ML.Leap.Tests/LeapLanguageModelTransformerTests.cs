using Microsoft.ML.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapLanguageModelTransformerTests
{
    private static readonly MLContext Context = new(1);
    private static LeapLanguageModelTransformer s_model = null!;
    private static LeapModel s_network = null!;

    [ClassInitialize]
    public static void Train(TestContext _)
    {
        s_model = TinyModel.Fit(Context, options => options.GeneratedTextColumnName = "GeneratedText");
        string folder = Directory.CreateTempSubdirectory().FullName;
        s_model.SavePretrained(folder);
        s_network = new LeapModel(s_model.Config, CPU, 0);
        IReadOnlyDictionary<string, Tensor> weights = SafeTensors.Load(Path.Combine(folder, "model.safetensors"));
        using (no_grad())
        {
            foreach ((string name, var weight) in s_network.Weights)
                weight.copy_(weights[name]).DetachFromDisposeScope();
        }

        foreach (Tensor weight in weights.Values)
            weight.Dispose();
        s_network.eval();
        Directory.Delete(folder, recursive: true);
    }

    [ClassCleanup]
    public static void Free()
    {
        s_model.Dispose();
        s_network.Dispose();
    }

    [TestMethod]
    public void Transform_ShortRows_ScoresEachTokenFromAnEndOfTextStart()
    {
        string[] texts = ["a dog", "x", "naïve ☕"];
        ScoredRowView[] rows = Score(texts);
        for (int i = 0; i < texts.Length; i++)
        {
            int[] ids = [.. s_model.Tokenizer.Encode(texts[i])];
            double expected = NaiveLogLikelihood([s_model.Tokenizer.EndOfTextId, .. ids], scoredFrom: 1);
            Assert.AreEqual(ids.Length, rows[i].TokenCount);
            Assert.AreEqual(expected, rows[i].LogLikelihood, 1e-5 * Math.Abs(expected) + 1e-5);
            Assert.AreEqual(Math.Exp(-expected / ids.Length), rows[i].Perplexity, 1e-3);
        }
    }

    [TestMethod]
    public void Transform_RowLongerThanTheContext_ReadsWindowsThatAdvanceByHalf()
    {
        string text = string.Concat(TinyModel.Texts)[..45];
        int[] ids = [.. s_model.Tokenizer.Encode(text)];
        int[] stream = [s_model.Tokenizer.EndOfTextId, .. ids];

        // Context 16: tokens 0 to 15 from the start, then eight at a time with the eight before them as context.
        double expected = NaiveLogLikelihood(stream[..17], scoredFrom: 1);
        for (int scored = 16; scored < ids.Length; scored += 8)
            expected += NaiveLogLikelihood(stream[(scored - 8)..(Math.Min(ids.Length, scored + 8) + 1)], scoredFrom: 9);

        Assert.AreEqual(expected, Score(text)[0].LogLikelihood, 1e-5 * Math.Abs(expected));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(37)]
    [DataRow(100_000)]
    public void Transform_AnyBatching_GivesTheSameScores(int tokensPerBatch)
    {
        string[] texts = [.. Enumerable.Range(0, 100).Select(i => TinyModel.Texts[i % 7][..(1 + i % TinyModel.Texts[i % 7].Length)] + i)];
        using LeapLanguageModelTransformer other = TinyModel.Fit(Context, options => options.ScoringTokensPerBatch = tokensPerBatch);
        float[] expected = [.. Score(texts).Select(row => row.LogLikelihood)];
        float[] actual = [.. TinyModel.Rows(Context, other.Transform(TinyModel.View(Context, texts))).Select(row => row.LogLikelihood)];
        for (int i = 0; i < texts.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5 * Math.Abs(expected[i]));
    }

    [TestMethod]
    public void Transform_MissingAndEmptyRows_GiveNaNAndOneWarning()
    {
        var context = new MLContext(1);
        List<string> warnings = [];
        context.Log += (_, e) =>
        {
            if (e.Kind == Runtime.ChannelMessageKind.Warning)
                warnings.Add(e.Message);
        };
        using LeapLanguageModelTransformer model = TinyModel.Fit(context, options => options.GeneratedTextColumnName = "GeneratedText");

        IDataView scored = model.Transform(TinyModel.View(context, "a", null, "", "b"));
        ScoredRowView[] rows = TinyModel.Rows(context, scored);

        CollectionAssert.AreEqual(new[] { 1, 0, 0, 1 }, rows.Select(row => row.TokenCount).ToArray());
        CollectionAssert.AreEqual(new[] { false, true, true, false }, rows.Select(row => float.IsNaN(row.LogLikelihood)).ToArray());
        CollectionAssert.AreEqual(new[] { false, true, true, false }, rows.Select(row => float.IsNaN(row.Perplexity)).ToArray());
        Assert.AreEqual("", scored.GetColumn<string>("GeneratedText").ElementAt(1));
        Assert.HasCount(1, warnings, string.Join('\n', warnings));
        StringAssert.Contains(warnings[0], "'Text'");
    }

    [TestMethod]
    public void Transform_NothingRead_ComputesNothing()
    {
        int reads = 0;
        IDataView data = Context.Data.LoadFromEnumerable([new Row { Text = "a" }, new Row { Text = "b" }]);
        IDataView counted = Context.Transforms.CustomMapping<Row, TextRow>((source, target) =>
        {
            reads++;
            target.Text = source.Text;
        }, null).Fit(data).Transform(data);
        IDataView scored = s_model.Transform(counted);

        using (DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Number"]]))
        {
            while (cursor.MoveNext())
                Assert.IsFalse(cursor.IsColumnActive(scored.Schema["Perplexity"]));
        }

        using (DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Perplexity"]]))
        {
            _ = cursor.GetGetter<float>(scored.Schema["Perplexity"]);
            while (cursor.MoveNext())
            {
            }
        }

        Assert.AreEqual(0, reads);
    }

    [TestMethod]
    public void GetRowCursor_SeveralAtOnce_AgreeWhateverIsActive()
    {
        string[] texts = [.. Enumerable.Range(0, 1100).Select(i => $"row {i}")];
        IDataView scored = s_model.Transform(TinyModel.View(Context, texts));
        using DataViewRowCursor all = scored.GetRowCursor(scored.Schema);
        using DataViewRowCursor one = scored.GetRowCursor([scored.Schema["LogLikelihood"]]);
        ValueGetter<float> fromAll = all.GetGetter<float>(scored.Schema["LogLikelihood"]);
        ValueGetter<float> fromOne = one.GetGetter<float>(scored.Schema["LogLikelihood"]);
        ValueGetter<int> count = all.GetGetter<int>(scored.Schema["TokenCount"]);
        float[] expected = [.. Score(texts).Select(row => row.LogLikelihood)];
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.IsTrue(all.MoveNext() && one.MoveNext());
            float a = 0, b = 0;
            int tokens = 0;
            count(ref tokens);
            Assert.AreEqual(texts[i].Length, tokens);

            // One cursor reads only some rows, as a filter would.
            fromAll(ref a);
            Assert.AreEqual(expected[i], a);
            if (i % 300 != 7)
                continue;
            fromOne(ref b);
            Assert.AreEqual(a, b);
        }

        Assert.IsFalse(all.MoveNext());
        Assert.ThrowsExactly<InvalidOperationException>(() =>
        {
            float value = 0;
            fromAll(ref value);
        });
    }

    [TestMethod]
    public void GetRowCursor_Shuffled_KeepsEachRowsOwnScore()
    {
        string[] texts = [.. Enumerable.Range(0, 700).Select(i => $"{i} {TinyModel.Texts[i % 7]}")];
        Dictionary<string, float> expected = Score(texts).ToDictionary(row => row.Text, row => row.LogLikelihood);
        IDataView shuffled = Context.Data.ShuffleRows(s_model.Transform(TinyModel.View(Context, texts)), seed: 3);

        ScoredRowView[] rows = TinyModel.Rows(Context, shuffled);

        CollectionAssert.AreNotEqual(texts, rows.Select(row => row.Text).ToArray());
        foreach (ScoredRowView row in rows)
            Assert.AreEqual(expected[row.Text], row.LogLikelihood, 1e-5 * Math.Abs(expected[row.Text]));
    }

    [TestMethod]
    public void GetGetter_ColumnNotActiveOrOfAnotherType_IsRefused()
    {
        IDataView scored = s_model.Transform(TinyModel.View(Context, "a"));
        using DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["LogLikelihood"]]);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<float>(scored.Schema["Perplexity"])).Message, "Perplexity");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<int>(scored.Schema["LogLikelihood"])).Message, "Single");
    }

    [TestMethod]
    public void PredictionEngine_RowByRow_AgreesWithTheView()
    {
        ScoredRowView[] expected = Score(TinyModel.Texts);
        using PredictionEngine<Row, ScoredRowView> engine = Context.Model.CreatePredictionEngine<Row, ScoredRowView>(
            s_model, new PredictionEngineOptions { OwnsTransformer = false });
        for (int i = 0; i < expected.Length; i++)
        {
            ScoredRowView actual = engine.Predict(new Row { Text = TinyModel.Texts[i] });
            Assert.AreEqual(expected[i].LogLikelihood, actual.LogLikelihood, 1e-5 * Math.Abs(expected[i].LogLikelihood));
            Assert.AreEqual(expected[i].TokenCount, actual.TokenCount);
        }

        Assert.IsTrue(float.IsNaN(engine.Predict(new Row { Text = null! }).Perplexity));
    }

    [TestMethod]
    public void GetRowToRowMapper_GivesTheSchemaThatWentIn()
    {
        DataViewSchema schema = TinyModel.View(Context, "a").Schema;
        IRowToRowMapper mapper = s_model.GetRowToRowMapper(schema);
        Assert.AreSame(schema, mapper.InputSchema);
        CollectionAssert.AreEqual(
            new[] { "Text" }, mapper.GetDependencies([mapper.OutputSchema["Perplexity"]]).Select(column => column.Name).ToArray());
        CollectionAssert.AreEqual(
            new[] { "Number" }, mapper.GetDependencies([mapper.OutputSchema["Number"]]).Select(column => column.Name).ToArray());
        Assert.IsTrue(s_model.IsRowToRowMapper);
    }

    [TestMethod]
    public void Pipeline_WithStepsBeforeAndAfter_TrainsScoresAndFilters()
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.TextColumnName = "Clean";
        IDataView data = Context.Data.LoadFromEnumerable(TinyModel.Texts.Select(text => new { Raw = text.ToUpperInvariant() }));
        var pipeline = Context.Transforms.Text.NormalizeText("Clean", "Raw")
            .Append(Context.Leap().LanguageModel(options))
            .Append(Context.Transforms.CopyColumns("Rank", "Perplexity"))
            .Append(Context.Transforms.NormalizeMinMax("Rank"));

        using var model = pipeline.Fit(data);
        IDataView kept = Context.Data.FilterRowsByColumn(model.Transform(data), "Rank", upperBound: 0.99);

        float[] ranks = [.. kept.GetColumn<float>("Rank")];
        Assert.IsTrue(ranks.Length > 0 && ranks.Length < TinyModel.Texts.Length);
        Assert.IsTrue(ranks.All(rank => rank is >= 0 and < 0.99f));
    }

    [TestMethod]
    public void CrossValidation_EachFold_TrainsAndEvaluates()
    {
        IDataView data = TinyModel.View(Context, [.. TinyModel.Texts, .. TinyModel.Texts.Select(text => text + "!")]);
        foreach (DataOperationsCatalog.TrainTestData fold in Context.Data.CrossValidationSplit(data, numberOfFolds: 2, seed: 1))
        {
            using LeapLanguageModelTransformer model = Context.Leap().LanguageModel(TinyModel.Options()).Fit(fold.TrainSet);
            LanguageModelMetrics metrics = Context.Leap().Evaluate(model.Transform(fold.TestSet));
            Assert.IsTrue(metrics.Perplexity is > 1 and < 1000);
        }
    }

    [TestMethod]
    public void Evaluate_OfView_SumsItsRows()
    {
        string[] texts = ["a dog ran", "the  cat", ""];
        ScoredRowView[] rows = Score(texts);
        LanguageModelMetrics metrics = s_model.Evaluate(TinyModel.View(Context, texts));
        double sum = rows[0].LogLikelihood + (double)rows[1].LogLikelihood;
        Assert.AreEqual(17, metrics.TokenCount);
        Assert.AreEqual(5, metrics.WordCount);
        Assert.AreEqual(17, metrics.ByteCount);
        Assert.AreEqual(-sum / 17, metrics.CrossEntropy, 1e-6);
        Assert.AreEqual(-sum / 17 / Math.Log(2), metrics.BitsPerByte, 1e-6);
        Assert.AreEqual(Math.Exp(-sum / 5), metrics.WordPerplexity, Math.Exp(-sum / 5) * 1e-6);
    }

    [TestMethod]
    public void Evaluate_ViewNotScored_SaysSo() => StringAssert.Contains(
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Context.Leap().Evaluate(TinyModel.View(Context, "a"))).Message, "LogLikelihood");

    [TestMethod]
    public void Generate_Greedy_TakesTheLikeliestTokenEachTime()
    {
        string text = s_model.Generate("the c", new GenerationOptions { Temperature = 0, MaximumNewTokens = 8 });

        List<int> ids = [s_model.Tokenizer.EndOfTextId, .. s_model.Tokenizer.Encode("the c")];
        int prompt = ids.Count;
        while (ids.Count < prompt + 8)
        {
            double[] next = NaiveLogProbabilities([.. ids])[^1];
            int best = Array.IndexOf(next, next.Max());
            if (best == s_model.Tokenizer.EndOfTextId)
                break;
            ids.Add(best);
        }

        Assert.AreEqual(s_model.Tokenizer.Decode(ids.Skip(prompt)), text);
        Assert.AreNotEqual("", text);
    }

    [TestMethod]
    public void Generate_PastTheContext_GoesOnFromItsLastHalf()
    {
        string prompt = TinyModel.Texts[2];
        var options = new GenerationOptions { Temperature = 0, MaximumNewTokens = 1 };
        int[] ids = [.. s_model.Tokenizer.Encode(prompt)];
        double[] next = NaiveLogProbabilities(ids[^8..])[^1];

        string text = s_model.Generate(prompt, options);

        int best = Array.IndexOf(next, next.Max());
        Assert.AreEqual(best == s_model.Tokenizer.EndOfTextId ? "" : s_model.Tokenizer.Decode([best]), text);
        Assert.IsGreaterThan(20, s_model.Generate(prompt, new GenerationOptions { MaximumNewTokens = 60, Seed = 5, Temperature = 2 }).Length);
    }

    [TestMethod]
    public void Generate_Seeds_DecideTheText()
    {
        var options = new GenerationOptions { Seed = 1, MaximumNewTokens = 30, Temperature = 1.5 };
        string first = s_model.Generate("the", options);
        Assert.AreEqual(first, s_model.Generate("the", options));
        Assert.AreNotEqual(first, s_model.Generate("the", options with { Seed = 2 }));
        Assert.AreEqual("", s_model.Generate("the", options with { MaximumNewTokens = 0 }));
    }

    [TestMethod]
    public void Generate_Cancelled_Throws()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => s_model.Generate("a", cancellationToken: source.Token));
        Assert.ThrowsExactly<ArgumentNullException>(() => s_model.Generate(null!));
    }

    [TestMethod]
    public void GeneratedText_Column_RepeatsInAnyRowAndCursor()
    {
        IDataView scored = s_model.Transform(TinyModel.View(Context, "the", "a dog", "the"));
        string[] first = [.. scored.GetColumn<string>("GeneratedText")];
        CollectionAssert.AreEqual(first, scored.GetColumn<string>("GeneratedText").ToArray());
        Assert.AreEqual(first[0], first[2]);
        Assert.AreNotEqual(first[0], first[1]);
    }

    [TestMethod]
    public void Dispose_Twice_ThenUse_SaysDisposed()
    {
        LeapLanguageModelTransformer model = TinyModel.Fit(Context);
        IDataView data = TinyModel.View(Context, "a");
        model.Dispose();
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Transform(data));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Generate("a"));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.GetRowToRowMapper(data.Schema));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Evaluate(data));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.SavePretrained("x"));
    }

    [TestMethod]
    public void Transform_ManyThreads_AgreeWithOne()
    {
        float[] expected = [.. Score(TinyModel.Texts).Select(row => row.LogLikelihood)];
        Parallel.For(0, 8, _ =>
        {
            float[] actual = [.. Score(TinyModel.Texts).Select(row => row.LogLikelihood)];
            CollectionAssert.AreEqual(expected, actual);
        });
    }

    [TestMethod]
    public void Transform_SchemaWithoutTheColumn_IsRefusedAtOnce()
    {
        IDataView data = Context.Data.LoadFromEnumerable([new { Words = "a" }]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => s_model.Transform(data));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => s_model.GetOutputSchema(data.Schema));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => s_model.GetRowToRowMapper(data.Schema));
    }

    private static ScoredRowView[] Score(params string[] texts) => TinyModel.Rows(Context, s_model.Transform(TinyModel.View(Context, texts)));

    // The network over one sequence without batches or windows, the softmax in double by the definition.
    private static double[][] NaiveLogProbabilities(int[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        float[] logits = s_network.forward(tensor(ids.Select(id => (long)id).ToArray(), [1, ids.Length]), null).data<float>().ToArray();
        return [.. logits.Chunk(s_network.Config.VocabularySize).Select(row =>
        {
            double total = Math.Log(row.Sum(value => Math.Exp(value)));
            return row.Select(value => value - total).ToArray();
        })];
    }

    private static double NaiveLogLikelihood(int[] ids, int scoredFrom)
    {
        double[][] rows = NaiveLogProbabilities(ids[..^1]);
        return Enumerable.Range(scoredFrom, ids.Length - scoredFrom).Sum(i => rows[i - 1][ids[i]]);
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
