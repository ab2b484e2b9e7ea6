using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Trained models through ML.NET's zip and through a folder in the Hugging Face layout.</summary>
[TestClass]
public class ModelRoundTripTests
{
    private static readonly MLContext Context = new(1);
    private static LeapLanguageModelTransformer s_model = null!;

    [ClassInitialize]
    public static void Train(TestContext _) => s_model = TinyModel.Fit(Context, options =>
    {
        options.GeneratedTextColumnName = "More";
        options.TokensColumnName = "Pieces";
        options.FocusWeightsColumnName = "Focus";
        options.LogLikelihoodColumnName = "Nats";
        options.TokenCountColumnName = "Length";
        options.PerplexityColumnName = "Surprise";
        options.ScoringTokensPerBatch = 77;
        options.Generation = new GenerationOptions
        {
            MaximumNewTokens = 5,
            Temperature = 0.9,
            TopK = 11,
            PositionPolicy = PositionPolicy.Restart,
            LogitBias = new Dictionary<int, float> { [3] = 1.5f },
            StopStrings = ["zzz"],
            BannedTokens = [7],
        };
    });

    [ClassCleanup]
    public static void Free() => s_model.Dispose();

    [TestMethod]
    public void Load_Zip_AllColumnsAreBitEqual()
    {
        byte[] zip = SavedModel.Zip(Context, s_model);
        var fresh = new MLContext();
        ITransformer loaded = fresh.Model.Load(new MemoryStream(zip), out DataViewSchema schema);
        using var disposable = (IDisposable)loaded;

        CollectionAssert.AreEqual(new[] { "Text", "Number" }, schema.Select(column => column.Name).ToArray());
        IDataView expected = s_model.Transform(TinyModel.View(Context, TinyModel.Texts));
        IDataView actual = loaded.Transform(TinyModel.View(fresh, TinyModel.Texts));
        AssertSameColumns(expected, actual);
        CollectionAssert.AreEqual(Bits(expected, "Nats"), Bits(actual, "Nats"));
        CollectionAssert.AreEqual(Bits(expected, "Surprise"), Bits(actual, "Surprise"));
        CollectionAssert.AreEqual(expected.GetColumn<int>("Length").ToArray(), actual.GetColumn<int>("Length").ToArray());

        foreach ((VBuffer<float> wanted, VBuffer<float> got) in expected.GetColumn<VBuffer<float>>("Focus").Zip(actual.GetColumn<VBuffer<float>>("Focus")))
            CollectionAssert.AreEqual(wanted.DenseValues().ToArray(), got.DenseValues().ToArray());
        Assert.IsGreaterThan(0, actual.GetColumn<VBuffer<ReadOnlyMemory<char>>>("Pieces").First().Length);

        // Drawn by a seed that the model chose when it was trained.
        CollectionAssert.AreEqual(expected.GetColumn<string>("More").ToArray(), actual.GetColumn<string>("More").ToArray());
    }

    [TestMethod]
    public void LoadThenSave_Zip_GivesTheSameEntriesByteForByte()
    {
        byte[] zip = SavedModel.Zip(Context, s_model);
        using LeapLanguageModelTransformer loaded = SavedModel.Load(zip);

        Dictionary<string, byte[]> expected = SavedModel.Entries(zip);
        Dictionary<string, byte[]> actual = SavedModel.Entries(SavedModel.Zip(Context, loaded));
        CollectionAssert.AreEquivalent(expected.Keys, actual.Keys);
        foreach (string name in expected.Keys)
            CollectionAssert.AreEqual(expected[name], actual[name], name);
    }

    [TestMethod]
    public void Save_Zip_SettingsHoldEverythingButADevice()
    {
        using JsonDocument document = JsonDocument.Parse(SavedModel.Entries(SavedModel.Zip(Context, s_model))["leap.json"]);
        JsonElement settings = document.RootElement.GetProperty("settings");
        Assert.AreEqual("Text", settings.GetProperty("text_column_name").GetString());
        Assert.AreEqual("Nats", settings.GetProperty("log_likelihood_column_name").GetString());
        Assert.AreEqual("Length", settings.GetProperty("token_count_column_name").GetString());
        Assert.AreEqual("Surprise", settings.GetProperty("perplexity_column_name").GetString());
        Assert.AreEqual("More", settings.GetProperty("generated_text_column_name").GetString());
        Assert.AreEqual("Pieces", settings.GetProperty("tokens_column_name").GetString());
        Assert.AreEqual("Focus", settings.GetProperty("focus_weights_column_name").GetString());
        Assert.AreEqual(77, settings.GetProperty("tokens_per_batch").GetInt32());
        Assert.AreEqual(7, settings.GetProperty("generation_seed").GetInt32());
        JsonElement generation = settings.GetProperty("generation");
        Assert.AreEqual(5, generation.GetProperty("maximum_new_tokens").GetInt32());
        Assert.AreEqual(0.9, generation.GetProperty("temperature").GetDouble());
        Assert.AreEqual(11, generation.GetProperty("top_k").GetInt32());
        Assert.AreEqual(JsonValueKind.Null, generation.GetProperty("seed").ValueKind);

        string[] names = [.. settings.EnumerateObject().Concat(generation.EnumerateObject()).Select(field => field.Name)];
        Assert.IsFalse(names.Any(name => name.Contains("device", StringComparison.OrdinalIgnoreCase)));
    }

    [TestMethod]
    public void Save_Zip_HoldsTheFilesOfTheModelAndNothingElse() => CollectionAssert.AreEquivalent(
        new[] { "Model.key", "config.json", "model.safetensors", "tokenizer_config.json", "leap.json", "history.csv", "bigrams.bin", "recipe.json" },
        SavedModel.Entries(SavedModel.Zip(Context, s_model)).Keys.ToArray());

    [TestMethod]
    public void Save_Zip_IsAtMostTheWeightsAndFivePercent()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(Context, options =>
        {
            options.HiddenSize = 96;
            options.Tokenizer = TokenizerOptions.ByteLevelBpe(300);
            options.Epochs = 1;
        });
        byte[] zip = SavedModel.Zip(Context, model);
        long tokenizer = SavedModel.Entries(zip)
            .Where(entry => entry.Key is "vocab.json" or "merges.txt" or "tokenizer_config.json").Sum(entry => entry.Value.LongLength);
        Assert.IsGreaterThan(0, tokenizer);
        Assert.IsLessThanOrEqualTo((4 * model.Config.ParameterCount + tokenizer) * 105 / 100, zip.LongLength);
    }

    [TestMethod]
    public void Save_WeightsAndConfig_HaveTheOriginalsNamesAndTheConvolutionsEachOnce()
    {
        Dictionary<string, byte[]> entries = SavedModel.Entries(SavedModel.Zip(Context, s_model));
        Dictionary<string, long[]> shapes = SavedModel.SafeTensorShapes(entries["model.safetensors"]);
        Dictionary<string, long[]> expected = new()
        {
            ["word_embedding.weight"] = [257, 16],
            ["proj_logits.bias"] = [257],
            ["leap_model.position_embeddings.weight"] = [16, 16],
            ["last_norm.weight"] = [16],
            ["last_norm.bias"] = [16],
        };
        foreach (string block in (string[])["leap_model.decoders.0.", "leap_model.decoders.1."])
        {
            expected[block + "pre_norm.weight"] = [16];
            expected[block + "pre_norm.bias"] = [16];
            expected[block + "boom_norm.weight"] = [16];
            expected[block + "boom_norm.bias"] = [16];
            expected[block + "pre_convolution.weight"] = [4, 16];
            expected[block + "boom_convolution.weight"] = [4, 16];
            expected[block + "projections.weight"] = [48, 16];
            expected[block + "boom.weight"] = [72, 16];
            expected[block + "unboom.weight"] = [16, 72];
        }

        CollectionAssert.AreEquivalent(expected.Keys, shapes.Keys);
        foreach (string name in expected.Keys)
            CollectionAssert.AreEqual(expected[name], shapes[name], name);
        Assert.AreEqual(s_model.Config.ParameterCount, shapes.Values.Sum(shape => shape.Aggregate(1L, (product, size) => product * size)));

        using JsonDocument config = JsonDocument.Parse(entries["config.json"]);
        CollectionAssert.AreEquivalent(
            new[]
            {
                "model_type", "hidden_size", "vocab_size", "n_positions", "n_heads", "n_layer", "use_local_att",
                "rescale_value", "hidden_dropout_prob", "initializer_range", "convolution_size", "use_forget_gates", "focus_size",
            },
            config.RootElement.EnumerateObject().Select(field => field.Name).ToArray());
        Assert.AreEqual("LeapForCausalLM", config.RootElement.GetProperty("model_type").GetString());
    }

    [TestMethod]
    public void Load_Pipeline_ServesAPredictionEngineAndDisposesTheModel()
    {
        var pipeline = Context.Transforms.Text.NormalizeText("Text")
            .Append(Context.Leap().LanguageModel(TinyModel.Options()))
            .Append(Context.Transforms.CopyColumns("Copy", "Perplexity"));
        using var model = pipeline.Fit(TinyModel.View(Context, TinyModel.Texts));
        ScoredRowView[] expected = TinyModel.Rows(Context, model.Transform(TinyModel.View(Context, TinyModel.Texts)));

        var fresh = new MLContext();
        using var state = new TorchState();
        var loaded = (TransformerChain<ITransformer>)fresh.Model.Load(new MemoryStream(SavedModel.Zip(Context, model)), out _);
        var inner = loaded.OfType<LeapLanguageModelTransformer>().Single();
        using (var engine = fresh.Model.CreatePredictionEngine<Row, ScoredRowView>(loaded))
        {
            for (int i = 0; i < expected.Length; i++)
            {
                float actual = engine.Predict(new Row { Text = TinyModel.Texts[i] }).LogLikelihood;
                Assert.AreEqual(expected[i].LogLikelihood, actual, 1e-5 * Math.Abs(expected[i].LogLikelihood));
            }
        }

        Assert.ThrowsExactly<ObjectDisposedException>(() => inner.Generate("a"));
    }

    [TestMethod]
    [DynamicData(nameof(Tokenizers))]
    public void Load_EachTokenizer_EncodesTheSame(TokenizerOptions tokenizer, string kind)
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(Context, options =>
        {
            options.Tokenizer = tokenizer;
            options.Epochs = 1;
        });
        using LeapLanguageModelTransformer fromZip = SavedModel.Load(SavedModel.Zip(Context, model));
        using var folder = new TemporaryFolder();
        model.SavePretrained(folder.Path);
        using LeapLanguageModelTransformer fromFolder = Context.Leap().LoadPretrained(folder.Path, device: "cpu");

        const string text = "the <unk> cat\r\nnaïve ☕ 日本\n";
        foreach (LeapTokenizer loaded in (LeapTokenizer[])[fromZip.Tokenizer, fromFolder.Tokenizer])
        {
            Assert.AreEqual(kind, loaded.Kind);
            Assert.AreEqual(model.Tokenizer.VocabularySize, loaded.VocabularySize);
            Assert.AreEqual(model.Tokenizer.EndOfTextId, loaded.EndOfTextId);
            CollectionAssert.AreEqual(Document(model.Tokenizer, text), Document(loaded, text));
        }
    }

    [TestMethod]
    public void LoadPretrained_ZipOfAFolder_IsTheModelOfTheFolder()
    {
        using var folder = new TemporaryFolder();
        s_model.Model.Save(Path.Combine(folder.Path, "saved"), WeightFormat.Int8);
        string zip = Path.Combine(folder.Path, "saved.zip");
        ZipFile.CreateFromDirectory(Path.Combine(folder.Path, "saved"), zip);

        using LeapLanguageModelTransformer fromFolder = Context.Leap().LoadPretrained(Path.Combine(folder.Path, "saved"), device: "cpu");
        using LeapLanguageModelTransformer fromZip = Context.Leap().LoadPretrained(zip, device: "cpu");

        Assert.AreEqual(fromFolder.Model.Score("the cat").LogLikelihood, fromZip.Model.Score("the cat").LogLikelihood);
    }

    [TestMethod]
    public void SavePretrainedThenLoad_FilesAreTheSameAndScoresAgree()
    {
        using var folder = new TemporaryFolder();
        s_model.SavePretrained(folder.Path);
        CollectionAssert.AreEquivalent(
            new[] { "config.json", "leap.manifest", "model.safetensors", "tokenizer.json", "tokenizer_config.json" },
            Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).ToArray());

        using LeapLanguageModelTransformer loaded = new MLContext().Leap().LoadPretrained(folder.Path, device: "cpu");
        using var again = new TemporaryFolder();
        loaded.SavePretrained(again.Path);
        foreach ((string name, byte[] bytes) in folder.ReadFiles())
            CollectionAssert.AreEqual(bytes, again.ReadFiles()[name], name);

        // The loaded model has batches of the default size, not of the saved one's.
        float[] expected = [.. s_model.Transform(TinyModel.View(Context, TinyModel.Texts)).GetColumn<float>("Nats")];
        float[] actual = [.. loaded.Transform(TinyModel.View(Context, TinyModel.Texts)).GetColumn<float>("LogLikelihood")];
        foreach ((float wanted, float got) in expected.Zip(actual))
            Assert.AreEqual(wanted, got, 1e-5 * Math.Abs(wanted));
    }

    [TestMethod]
    public void SavePretrained_FailsMidway_LeavesTheOldModelWhole()
    {
        using var folder = new TemporaryFolder();
        s_model.SavePretrained(folder.Path);
        Dictionary<string, byte[]> before = folder.ReadFiles();

        // A tensor of its weights is missing when they are to be written, after config.json.
        Dictionary<string, float[]> weights = new(s_model.Model.GetParts().Weights);
        weights.Remove("last_norm.bias");
        var broken = new ModelParts(s_model.Config, weights, s_model.Tokenizer, null);
        Assert.ThrowsExactly<ArgumentException>(() => ModelFolder.Save(folder.Path, target => broken.Write(target)));

        Dictionary<string, byte[]> after = folder.ReadFiles();
        CollectionAssert.AreEquivalent(before.Keys, after.Keys);
        foreach (string name in before.Keys)
            CollectionAssert.AreEqual(before[name], after[name], name);
    }

    private static IEnumerable<object[]> Tokenizers =>
    [
        [TokenizerOptions.Bytes(), "bytes"],
        [TokenizerOptions.Bytes(["<unk>"], endTokenAfterEachLine: true), "bytes"],
        [TokenizerOptions.ByteLevelBpe(280), "byte-level-bpe"],
        [TokenizerOptions.ByteLevelBpe(280, ["<unk>"], endTokenAfterEachLine: true), "byte-level-bpe"],
    ];

    private static List<int> Document(LeapTokenizer tokenizer, string text)
    {
        List<int> ids = [];
        tokenizer.EncodeDocument(text, ids);
        return ids;
    }

    private static void AssertSameColumns(IDataView expected, IDataView actual) => CollectionAssert.AreEqual(
        expected.Schema.Select(column => $"{column.Name} {column.Type}").ToArray(),
        actual.Schema.Select(column => $"{column.Name} {column.Type}").ToArray());

    private static int[] Bits(IDataView data, string column) => [.. data.GetColumn<float>(column).Select(BitConverter.SingleToInt32Bits)];
}
