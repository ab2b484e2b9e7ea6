using System.Text;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class FocusColumnsTests
{
    private static readonly MLContext Context = new(1);
    private static LeapLanguageModelTransformer s_model = null!;

    [ClassInitialize]
    public static void Train(TestContext _) => s_model = TinyModel.Fit(Context, NameColumns);

    [ClassCleanup]
    public static void Free() => s_model.Dispose();

    [TestMethod]
    public void FocusWeights_RowThatFits_IsTheReportsAggregate()
    {
        string[] texts = ["a dog", "", "the cat ☕ sat", "x", null!];
        IDataView scored = s_model.Transform(TinyModel.View(Context, texts));
        float[][] focus = Focus(scored);
        string[][] tokens = [.. scored.GetColumn<VBuffer<ReadOnlyMemory<char>>>("Tokens").Select(
            row => row.DenseValues().Select(token => token.ToString()).ToArray())];
        for (int i = 0; i < texts.Length; i++)
        {
            FocusReport report = s_model.Explain(texts[i] ?? "");
            AssertClose([.. report.Focus.Skip(1)], focus[i]);
            CollectionAssert.AreEqual(report.Tokens.Skip(1).Select(token => token.Text).ToArray(), tokens[i]);
        }

        Assert.IsEmpty(focus[1]);
        Assert.IsEmpty(tokens[4]);
    }

    [TestMethod]
    public void FocusWeights_LongRow_IsFromTheWindowThatScoresTheToken()
    {
        string text = string.Concat(TinyModel.Texts)[..40];
        float[] actual = Focus(s_model.Transform(TinyModel.View(Context, text)))[0];

        // Context 16: the start and 15 tokens; then windows of the token before and 15 tokens, of which the last 8 are new. Bytes.
        List<float> expected = [.. s_model.Explain(text[..15]).Focus.Skip(1)];
        for (int scored = 15; scored < 40; scored += 8)
            expected.AddRange(NaiveWindow(text[(scored - 8)..Math.Min(40, scored + 8)]).Skip(8));
        AssertClose([.. expected], actual);
    }

    [TestMethod]
    public void FocusWeights_AnyBatching_IsTheSame()
    {
        string[] texts = [.. Enumerable.Range(0, 60).Select(i => TinyModel.Texts[i % 7][..(1 + i % TinyModel.Texts[i % 7].Length)] + i)];
        float[][] expected = Focus(s_model.Transform(TinyModel.View(Context, texts)));
        using LeapLanguageModelTransformer other = TinyModel.Fit(Context, options =>
        {
            NameColumns(options);
            options.ScoringTokensPerBatch = 1;
        });
        float[][] actual = Focus(other.Transform(TinyModel.View(Context, texts)));
        for (int i = 0; i < texts.Length; i++)
            AssertClose(expected[i], actual[i]);
    }

    [TestMethod]
    public void PredictionEngine_GivesTheVectors()
    {
        using var engine = Context.Model.CreatePredictionEngine<Row, ExplainedRow>(
            s_model, new PredictionEngineOptions { OwnsTransformer = false });
        ExplainedRow row = engine.Predict(new Row { Text = "a dog" });
        AssertClose([.. s_model.Explain("a dog").Focus.Skip(1)], row.FocusWeights);
        CollectionAssert.AreEqual(new[] { "a", " ", "d", "o", "g" }, row.Tokens);
    }

    [TestMethod]
    public void FocusWeights_Read_LeavesTorchAsItWas()
    {
        IDataView scored = s_model.Transform(TinyModel.View(Context, TinyModel.Texts));
        using var state = new TorchState();
        _ = Focus(scored);
    }

    [TestMethod]
    public void Fit_ContextTooShortForFocus_IsRefused()
    {
        ArgumentException e = Assert.ThrowsExactly<ArgumentException>(() => TinyModel.Fit(Context, options =>
        {
            NameColumns(options);
            options.ContextLength = 1;
        }));
        StringAssert.Contains(e.Message, "ContextLength of at least 2");
        Assert.ThrowsExactly<ArgumentException>(() => TinyModel.Fit(Context, options => options.TokensColumnName = "Perplexity"));
        Assert.ThrowsExactly<ArgumentException>(() => TinyModel.Fit(Context, options => options.FocusWeightsColumnName = " "));
    }

    [TestMethod]
    public void LoadPretrained_WithNames_HasTheColumns()
    {
        using var folder = new TemporaryFolder();
        s_model.SavePretrained(folder.Path);
        using LeapLanguageModelTransformer loaded = Context.Leap().LoadPretrained(
            folder.Path, device: "cpu", tokensColumnName: "T", focusWeightsColumnName: "F");
        IDataView scored = loaded.Transform(TinyModel.View(Context, "a dog"));
        AssertClose([.. s_model.Explain("a dog").Focus.Skip(1)], [.. scored.GetColumn<VBuffer<float>>("F").Single().DenseValues()]);
        Assert.AreEqual(5, scored.GetColumn<VBuffer<ReadOnlyMemory<char>>>("T").Single().Length);
    }

    [TestMethod]
    public void LoadPretrained_ContextTooShortForFocus_IsRefusedAndFreed()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(Context, options => options.ContextLength = 1);
        using var folder = new TemporaryFolder();
        model.SavePretrained(folder.Path);
        using var state = new TorchState();
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => Context.Leap().LoadPretrained(folder.Path, device: "cpu", focusWeightsColumnName: "F")).Message,
            "ContextLength of at least 2");
        Assert.AreEqual(1, model.Explain("").Tokens.Count);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => model.Explain("a")).Message, "at most 0");
    }

    [TestMethod]
    public void Load_SettingsOfVersion1_HaveNoSuchColumns()
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes("""
            {"version": 1, "settings": {"text_column_name": "a", "log_likelihood_column_name": "b", "token_count_column_name": "c",
            "perplexity_column_name": "d", "generated_text_column_name": null, "tokens_per_batch": 1, "generation": {}, "generation_seed": 1}}
            """));
        ScoringSettings settings = SettingsJson.Read<ScoringSettings>(stream, 2);
        Assert.IsNull(settings.TokensColumnName);
        Assert.IsNull(settings.FocusWeightsColumnName);
    }

    private static void NameColumns(LeapLanguageModelTrainer.Options options)
    {
        options.TokensColumnName = "Tokens";
        options.FocusWeightsColumnName = "FocusWeights";
    }

    private static float[][] Focus(IDataView scored) =>
        [.. scored.GetColumn<VBuffer<float>>("FocusWeights").Select(row => row.DenseValues().ToArray())];

    // A window that begins within a row: its first token stands where the start would.
    private static float[] NaiveWindow(string text)
    {
        LeapConfig config = s_model.Config;
        long[] ids = [.. s_model.Tokenizer.Encode(text).Select(id => (long)id)];
        var naive = new NaiveLeap(config, s_model.Model.GetParts().Weights.ToDictionary(pair => pair.Key, pair => Array.ConvertAll(pair.Value, value => (double)value)));
        naive.Logits(ids);
        double[] focus = new double[ids.Length];
        for (int h = 0; h < naive.Heads.Count; h++)
        {
            (double[] weights, double[] gates, double[] kept) = naive.Heads[h];
            int window = config.WindowSizes[h / config.HeadCount];
            double Kept(int i, int j) => kept[(j + 1)..(i + 1)].Aggregate(1.0, (product, part) => product * part);
            for (int j = 0; j < ids.Length; j++)
            {
                double sum = 0;
                double seen = 0;
                for (int i = j; i < Math.Min(ids.Length, j + window); i++)
                {
                    int[] visible = [.. Enumerable.Range(0, i + 1).Where(k => i - window < k)];
                    sum += gates[i] * visible.Sum(k => Kept(i, k)) * weights[j] * Kept(i, j) / visible.Sum(k => weights[k] * Kept(i, k));
                    seen += Kept(i, j);
                }

                focus[j] += sum / seen / naive.Heads.Count;
            }
        }

        return Array.ConvertAll(focus, value => (float)value);
    }

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 2e-5 * expected[i]);
    }

    private sealed class ExplainedRow
    {
        public string[] Tokens { get; set; } = [];

        public float[] FocusWeights { get; set; } = [];
    }
}
