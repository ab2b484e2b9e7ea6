using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ScoredDataViewTests
{
    [TestMethod]
    public void Transform_ShortRows_ScoresEachTokenFromAnEndOfTextStart()
    {
        string[] texts = ["a dog", "x", "naïve ☕"];
        ScoredRowView[] rows = TrainedModel.Score(texts);
        for (int i = 0; i < texts.Length; i++)
        {
            int[] ids = [.. TrainedModel.Transformer.Tokenizer.Encode(texts[i])];
            double expected = TrainedModel.NaiveLogLikelihood([TrainedModel.Transformer.Tokenizer.EndOfTextId, .. ids], scoredFrom: 1);
            Assert.AreEqual(ids.Length, rows[i].TokenCount);
            Assert.AreEqual(expected, rows[i].LogLikelihood, 1e-5 * Math.Abs(expected) + 1e-5);
            Assert.AreEqual(Math.Exp(-expected / ids.Length), rows[i].Perplexity, 1e-3);
        }
    }

    [TestMethod]
    public void Transform_RowLongerThanTheContext_ReadsWindowsThatAdvanceByHalf()
    {
        string text = string.Concat(TinyModel.Texts)[..45];
        int[] ids = [.. TrainedModel.Transformer.Tokenizer.Encode(text)];
        int[] stream = [TrainedModel.Transformer.Tokenizer.EndOfTextId, .. ids];

        // Context 16: tokens 0 to 15 from the start, then eight at a time with the eight before them as context.
        double expected = TrainedModel.NaiveLogLikelihood(stream[..17], scoredFrom: 1);
        for (int scored = 16; scored < ids.Length; scored += 8)
            expected += TrainedModel.NaiveLogLikelihood(stream[(scored - 8)..(Math.Min(ids.Length, scored + 8) + 1)], scoredFrom: 9);

        Assert.AreEqual(expected, TrainedModel.Score(text)[0].LogLikelihood, 1e-5 * Math.Abs(expected));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(37)]
    [DataRow(100_000)]
    public void Transform_AnyBatching_GivesTheSameScores(int tokensPerBatch)
    {
        string[] texts = [.. Enumerable.Range(0, 100).Select(i => TinyModel.Texts[i % 7][..(1 + i % TinyModel.Texts[i % 7].Length)] + i)];
        using LeapLanguageModelTransformer other = TinyModel.Fit(TrainedModel.Context, options => options.ScoringTokensPerBatch = tokensPerBatch);
        float[] expected = [.. TrainedModel.Score(texts).Select(row => row.LogLikelihood)];
        float[] actual = [.. TinyModel.Rows(TrainedModel.Context, other.Transform(TinyModel.View(TrainedModel.Context, texts))).Select(row => row.LogLikelihood)];
        for (int i = 0; i < texts.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5 * Math.Abs(expected[i]));
    }

    [TestMethod]
    public void Transform_ScoresAndTokenScores_TakeOnePass()
    {
        int blocks = 0;
        LeapLanguageModel model = TrainedModel.Transformer.Model;
        ScoringSettings settings = new LeapLanguageModelTrainer.Options { TokenLogLikelihoodsColumnName = "Tokens" }.MakeScoringSettings(0);
        var evaluator = new TextEvaluator(model, settings, (all, _, memory) =>
        {
            blocks += all.Count;
            return BlockLosses.Compute(model.Network, all, memory);
        });
        string[] texts = ["a dog", "x", "the cat sat"];
        var view = new ScoredDataView(
            TinyModel.View(TrainedModel.Context, texts), evaluator, new ScoredColumns(settings, model.Config.HiddenSize), "Text", () => { });

        double[] sums = [.. TrainedModel.Context.Data.CreateEnumerable<TokenScoredRow>(view, reuseRowObject: false).Select(row => row.Tokens!.Sum(x => (double)x))];

        float[] expected = [.. TrainedModel.Score(texts).Select(row => row.LogLikelihood)];
        for (int i = 0; i < texts.Length; i++)
            Assert.AreEqual(expected[i], sums[i], 1e-5 * Math.Abs(expected[i]));
        Assert.AreEqual(texts.Length, blocks);
    }

    [TestMethod]
    public void Evaluate_OfModelWithCounts_EncodesEachTextOnce()
    {
        var tokenizer = new CountingTokenizer();
        using LeapLanguageModelTransformer model = TinyModel.Fit(TrainedModel.Context, options => options.Tokenizer = TokenizerOptions.Existing(tokenizer));
        tokenizer.Count = 0;

        LanguageModelMetrics metrics = model.Evaluate(TinyModel.View(TrainedModel.Context, TinyModel.Texts));

        Assert.AreEqual(TinyModel.Texts.Length, tokenizer.Count);
        Assert.IsFalse(double.IsNaN(metrics.BigramPerplexity));
        Assert.AreEqual(
            metrics.BigramPerplexity,
            TrainedModel.Context.Leap().Evaluate(model.Transform(TinyModel.View(TrainedModel.Context, TinyModel.Texts))).BigramPerplexity);
    }

    [TestMethod]
    public void Evaluate_AStepAfterTheModel_LeavesOutTheCountedModelsAlone()
    {
        IDataView scored = TrainedModel.Transformer.Transform(TinyModel.View(TrainedModel.Context, TinyModel.Texts));

        LanguageModelMetrics own = TrainedModel.Context.Leap().Evaluate(scored);
        LanguageModelMetrics metrics = TrainedModel.Context.Leap().Evaluate(TrainedModel.Context.Data.Cache(scored));

        Assert.IsFalse(double.IsNaN(own.UnigramPerplexity) || double.IsNaN(own.BigramPerplexity));
        Assert.IsTrue(double.IsNaN(metrics.UnigramPerplexity) && double.IsNaN(metrics.BigramPerplexity));
        Assert.AreEqual((own.Perplexity, own.BitsPerByte), (metrics.Perplexity, metrics.BitsPerByte));
    }

    [TestMethod]
    public void Transform_MissingAndEmptyRows_GiveNaNAndOneWarning()
    {
        var context = new MLContext(1);
        List<string> warnings = [];
        context.Log += (_, e) =>
        {
            if (e.Kind == Runtime.ChannelMessageKind.Warning && e.Message.Contains("Scoring"))
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
        IDataView data = TrainedModel.Context.Data.LoadFromEnumerable([new Row { Text = "a" }, new Row { Text = "b" }]);
        IDataView counted = TrainedModel.Context.Transforms.CustomMapping<Row, TextRow>((source, target) =>
        {
            reads++;
            target.Text = source.Text;
        }, null).Fit(data).Transform(data);
        IDataView scored = TrainedModel.Transformer.Transform(counted);

        using (DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Number"]]))
        {
            while (cursor.MoveNext())
                Assert.IsFalse(cursor.IsColumnActive(scored.Schema["Perplexity"]));
        }

        Assert.AreEqual(0, reads);

        // Where a scored column is active, each text is read once, and nothing is computed: a model that is gone could not.
        LeapLanguageModelTransformer gone = TinyModel.Fit(TrainedModel.Context);
        scored = gone.Transform(counted);
        gone.Dispose();
        using (DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Perplexity"]]))
        {
            ValueGetter<float> getPerplexity = cursor.GetGetter<float>(scored.Schema["Perplexity"]);
            Assert.IsTrue(cursor.MoveNext() && cursor.MoveNext());
            Assert.ThrowsExactly<ObjectDisposedException>(() =>
            {
                float value = 0;
                getPerplexity(ref value);
            });
            Assert.IsFalse(cursor.MoveNext());
        }

        Assert.AreEqual(2, reads);
    }

    [TestMethod]
    public void GetRowCursor_SeveralAtOnce_AgreeWhateverIsActive()
    {
        string[] texts = [.. Enumerable.Range(0, 1100).Select(i => $"row {i}")];
        IDataView scored = TrainedModel.Transformer.Transform(TinyModel.View(TrainedModel.Context, texts));
        using DataViewRowCursor all = scored.GetRowCursor(scored.Schema);
        using DataViewRowCursor one = scored.GetRowCursor([scored.Schema["LogLikelihood"]]);
        ValueGetter<float> fromAll = all.GetGetter<float>(scored.Schema["LogLikelihood"]);
        ValueGetter<float> fromOne = one.GetGetter<float>(scored.Schema["LogLikelihood"]);
        ValueGetter<int> count = all.GetGetter<int>(scored.Schema["TokenCount"]);
        float[] expected = [.. TrainedModel.Score(texts).Select(row => row.LogLikelihood)];
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
        Dictionary<string, float> expected = TrainedModel.Score(texts).ToDictionary(row => row.Text, row => row.LogLikelihood);
        IDataView shuffled = TrainedModel.Context.Data.ShuffleRows(TrainedModel.Transformer.Transform(TinyModel.View(TrainedModel.Context, texts)), seed: 3);

        ScoredRowView[] rows = TinyModel.Rows(TrainedModel.Context, shuffled);

        CollectionAssert.AreNotEqual(texts, rows.Select(row => row.Text).ToArray());
        foreach (ScoredRowView row in rows)
            Assert.AreEqual(expected[row.Text], row.LogLikelihood, 1e-5 * Math.Abs(expected[row.Text]));
    }

    // File.ReadLines is such a source: two readers of it share its lines.
    [TestMethod]
    public void GetRowCursor_SourceThatIsReadOnce_GivesEachRowItsOwnScores()
    {
        string[] texts = [.. Enumerable.Range(0, 1100).Select(i => $"{TinyModel.Texts[i % 7]} {i}")];
        var lines = new Queue<string>(texts);
        IDataView scored = TrainedModel.Transformer.Transform(TrainedModel.Context.Data.LoadFromEnumerable(ReadOnce(lines)));
        float[] expected = [.. TrainedModel.Score(texts).Select(row => row.LogLikelihood)];

        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        ValueGetter<ReadOnlyMemory<char>> getText = cursor.GetGetter<ReadOnlyMemory<char>>(scored.Schema["Text"]);
        ValueGetter<VBuffer<float>> getNumbers = cursor.GetGetter<VBuffer<float>>(scored.Schema["Numbers"]);
        ValueGetter<float> getScore = cursor.GetGetter<float>(scored.Schema["LogLikelihood"]);
        ReadOnlyMemory<char> text = default;
        VBuffer<float> numbers = default;
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.IsTrue(cursor.MoveNext());
            Assert.AreEqual(i, cursor.Position);
            float score = 0;
            getScore(ref score);
            getText(ref text);
            Assert.AreEqual(texts[i], text.ToString());
            Assert.AreEqual(expected[i], score);

            // A reader may write over what it was given.
            for (int reading = 0; reading < 2; reading++)
            {
                getNumbers(ref numbers);
                CollectionAssert.AreEqual(new[] { texts[i].Length, 1f }, numbers.DenseValues().ToArray());
                VBufferEditor.CreateFromBuffer(ref numbers).Values.Clear();
            }
        }

        Assert.IsFalse(cursor.MoveNext());
        Assert.AreEqual(-1, cursor.Position);

        static IEnumerable<NumberedText> ReadOnce(Queue<string> lines)
        {
            while (lines.TryDequeue(out string? line))
                yield return new NumberedText { Text = line, Numbers = [line.Length, 1] };
        }
    }

    [TestMethod]
    public void GetGetter_ColumnNotActiveOrOfAnotherType_IsRefused()
    {
        IDataView scored = TrainedModel.Transformer.Transform(TinyModel.View(TrainedModel.Context, "a"));
        using DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["LogLikelihood"]]);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<float>(scored.Schema["Perplexity"])).Message, "Perplexity");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<int>(scored.Schema["LogLikelihood"])).Message, "Single");
    }

    [TestMethod]
    public void Transform_ManyThreads_AgreeWithOne()
    {
        float[] expected = [.. TrainedModel.Score(TinyModel.Texts).Select(row => row.LogLikelihood)];
        Parallel.For(0, 8, _ =>
        {
            float[] actual = [.. TrainedModel.Score(TinyModel.Texts).Select(row => row.LogLikelihood)];
            CollectionAssert.AreEqual(expected, actual);
        });
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }

    private sealed class TokenScoredRow
    {
        public float LogLikelihood { get; set; }

        public float[]? Tokens { get; set; }
    }

    /// <summary>Bytes, and a count of the texts that were encoded.</summary>
    private sealed class CountingTokenizer()
        : LeapTokenizer(new TokenizerSettings(TokenizerSettings.Bytes, 256), 257, new SpecialLiteralSet(new Dictionary<string, int>()))
    {
        public int Count { get; set; }

        private protected override void EncodePlain(ReadOnlySpan<char> text, List<int> ids)
        {
            Count++;
            foreach (byte value in System.Text.Encoding.UTF8.GetBytes(text.ToArray()))
                ids.Add(value);
        }

        private protected override ReadOnlyMemory<byte> GetPlainTokenBytes(int id) => new[] { (byte)id };

        private protected override void SaveVocabulary(Action<string, Action<Stream>> write)
        {
        }
    }

    private sealed class NumberedText
    {
        public string Text { get; set; } = "";

        [VectorType(2)]
        public float[] Numbers { get; set; } = [];
    }
}
