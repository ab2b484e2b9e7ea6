using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Damaged and lying models are refused, by the real loaders, before memory is taken for what they promise.</summary>
[TestClass]
public class CorruptModelTests
{
    private const long AllowedBytes = 16 << 20;

    private static readonly MLContext Context = new(1);
    private static readonly Dictionary<string, byte[]> Files = [];
    private static byte[] s_zip = [];

    [ClassInitialize]
    public static void Train(TestContext _)
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(
            Context, options => options.Tokenizer = TokenizerOptions.ByteLevelBpe(270));
        s_zip = SavedModel.Zip(Context, model);
        foreach ((string name, byte[] content) in SavedModel.Entries(s_zip).Where(entry => entry.Key != "Model.key"))
            Files.Add(name, content);
    }

    [TestMethod]
    public void Load_FilesAsTheyWere_Succeeds()
    {
        SavedModel.Load(SavedModel.MakeZip(Context, Files)).Dispose();
        using TemporaryFolder folder = MakeFolder(Files);
        Context.Leap().LoadPretrained(folder.Path).Dispose();
    }

    [TestMethod]
    [DynamicData(nameof(FileNames))]
    public void Load_EntryTruncatedOrFlippedOrRemoved_ThrowsFormatException(string name)
    {
        foreach (int length in (int[])[0, 1, Files[name].Length / 2, Files[name].Length - 1])
            Refuse(Edit(name, content => content[..length]), name);
        foreach (int place in (int[])[0, Files[name].Length / 3, Files[name].Length - 1])
            Refuse(Edit(name, content => Flip(content, place)), name);
        Refuse(Edit(name, content => null), name);
    }

    [TestMethod]
    public void Load_ZipTruncatedAnywhere_ThrowsFormatException()
    {
        for (int length = 0; length < s_zip.Length; length += s_zip.Length / 25)
            Refuse(s_zip[..length], $"{length} of {s_zip.Length} bytes");
    }

    [TestMethod]
    public void Load_ModelKeyDamaged_ThrowsFormatException()
    {
        byte[] key = SavedModel.Entries(s_zip)["Model.key"];

        // Behind ML.NET's own header: the list of files with their sums.
        int list = key.AsSpan().LastIndexOf("config.json"u8);
        foreach (int length in Enumerable.Range(list, key.Length - list).Where(length => length % 7 == 0))
            Refuse(Edit("Model.key", content => content[..length]), $"Model.key of {length} bytes");
        Refuse(Edit("Model.key", content => Flip(content, list + 20)), "Model.key with a flipped bit");
    }

    [TestMethod]
    [DataRow("vocab_size", 2_000_000_000)]
    [DataRow("n_positions", 2_000_000_000)]
    [DataRow("hidden_size", 1 << 14)]
    [DataRow("n_layer", 1000)]
    public void Load_ConfigPromisesWhatTheWeightsDoNotHold_ThrowsFormatExceptionWithoutTakingMemory(string key, int value) =>
        RefuseFiles(With("config.json", content => EditJson(EditJson(content, "window_sizes", null), key, value)), "model.safetensors");

    [TestMethod]
    [DataRow(long.MaxValue)]
    [DataRow(-1)]
    [DataRow(99_999_999)]
    [DataRow(0)]
    public void Load_SafeTensorsHeaderLengthLies_ThrowsFormatException(long length) => RefuseFiles(
        With("model.safetensors", content =>
        {
            byte[] copy = [.. content];
            BinaryPrimitives.WriteInt64LittleEndian(copy, length);
            return copy;
        }),
        "model.safetensors");

    [TestMethod]
    public void Load_SafeTensorsShapeLies_ThrowsFormatException()
    {
        RefuseHeader("[16,72]", "[72,72]", "model.safetensors");
        RefuseHeader("[16,72]", "[16,9223372036854775807]", "model.safetensors");
        RefuseHeader("\"data_offsets\":[0,", "\"data_offsets\":[8,", "model.safetensors");
        RefuseHeader("last_norm.bias", "last_norm.bios", "last_norm.bias");
    }

    [TestMethod]
    public void Load_FileTruncated_ThrowsFormatException()
    {
        foreach (string name in Files.Keys.Where(name => name is not "leap.json"))
            RefuseFiles(With(name, content => content[..(content.Length / 2)]), null);
        RefuseZip(SavedModel.MakeZip(Context, With("leap.json", content => content[..(content.Length / 2)])), "leap.json");
    }

    [TestMethod]
    public void Load_VocabularyLargerThanTheNetworks_ThrowsFormatException() => RefuseFiles(
        With("tokenizer_config.json", content => EditJson(content, "leap", new JsonObject
        {
            ["kind"] = "byte-level-bpe",
            ["end_of_text_id"] = 256,
            ["end_token_after_each_line"] = false,
            ["sentinel_count"] = 0,
            ["special_literals"] = new JsonObject { ["<one too many>"] = 270 },
        })),
        "config.json");

    [TestMethod]
    public void Load_WeightNotFinite_ThrowsFormatExceptionAndFreesTheNetwork()
    {
        Dictionary<string, byte[]> files = With("model.safetensors", content => [.. content[..^4], .. BitConverter.GetBytes(float.NaN)]);
        using TemporaryFolder folder = MakeFolder(files);
        byte[] zip = SavedModel.MakeZip(Context, files);
        using var state = new TorchState();
        StringAssert.Contains(Assert.Throws<FormatException>(() => Context.Leap().LoadPretrained(folder.Path)).Message, "not finite");
        StringAssert.Contains(Assert.Throws<FormatException>(() => SavedModel.Load(zip)).Message, "not finite");
    }

    [TestMethod]
    public void LoadPretrained_FileMissing_SaysWhich()
    {
        foreach (string name in (string[])["config.json", "model.safetensors"])
        {
            using TemporaryFolder folder = MakeFolder(With(name, content => null));
            var exception = Assert.ThrowsExactly<FileNotFoundException>(() => Context.Leap().LoadPretrained(folder.Path));
            StringAssert.Contains(exception.Message, name);
        }
    }

    [TestMethod]
    [DataRow("text_column_name", "\"\"", "TextColumnName")]
    [DataRow("log_likelihood_column_name", "\" \"", "LogLikelihoodColumnName")]
    [DataRow("token_count_column_name", "\"Perplexity\"", "share the name")]
    [DataRow("tokens_column_name", "\"\"", "TokensColumnName")]
    [DataRow("tokens_per_batch", "0", "TokensPerBatch")]
    [DataRow("tokens_per_batch", "-2147483648", "TokensPerBatch")]
    [DataRow("embedding", "77", "leap.json")]
    public void Load_SettingsThatNoViewCanHave_ThrowsFormatException(string key, string value, string word)
    {
        Dictionary<string, byte[]> files = With("leap.json", content =>
        {
            JsonNode json = JsonNode.Parse(content)!;
            Assert.IsNotNull(json["settings"]!["text_column_name"], json.ToJsonString());
            json["settings"]![key] = JsonNode.Parse(value);
            return Encoding.UTF8.GetBytes(json.ToJsonString());
        });
        RefuseZip(SavedModel.MakeZip(Context, files), word);
        RefuseZip(SavedModel.MakeZip(Context, files), "leap.json");
    }

    private static IEnumerable<object[]> FileNames =>
        [["config.json"], ["model.safetensors"], ["tokenizer_config.json"], ["vocab.json"], ["merges.txt"], ["leap.json"]];

    private static void RefuseHeader(string old, string replacement, string word) =>
        RefuseFiles(With("model.safetensors", content => ReplaceInHeader(content, old, replacement)), word);

    private static void RefuseFiles(Dictionary<string, byte[]> files, string? word)
    {
        RefuseZip(SavedModel.MakeZip(Context, files), word);
        using TemporaryFolder folder = MakeFolder(files);
        Refuse(() => Context.Leap().LoadPretrained(folder.Path), word, "folder");
    }

    private static void RefuseZip(byte[] zip, string? word) => Refuse(() => SavedModel.Load(zip), word, "zip");

    private static void Refuse(byte[] zip, string about) => Refuse(() => SavedModel.Load(zip), null, about);

    private static void Refuse(Func<LeapLanguageModelTransformer> load, string? word, string about)
    {
        using var state = new TorchState();
        long before = GC.GetAllocatedBytesForCurrentThread();
        var exception = Assert.Throws<FormatException>(() => load().Dispose(), about);
        Assert.IsLessThan(AllowedBytes, GC.GetAllocatedBytesForCurrentThread() - before, about);
        if (word is not null)
            StringAssert.Contains(exception.Message, word, about);
    }

    // Changes an entry of a zip and leaves the list of sums as it was.
    private static byte[] Edit(string name, Func<byte[], byte[]?> change)
    {
        using var stream = new MemoryStream();
        stream.Write(s_zip);
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Update, leaveOpen: true))
        {
            ZipArchiveEntry entry = archive.Entries.Single(e => e.Name == name && SavedModel.IsOwn(e));
            byte[]? content = change(SavedModel.Entries(s_zip)[name]);
            string path = entry.FullName;
            entry.Delete();
            if (content is not null)
            {
                using Stream target = archive.CreateEntry(path).Open();
                target.Write(content);
            }
        }

        return stream.ToArray();
    }

    private static Dictionary<string, byte[]> With(string name, Func<byte[], byte[]?> change)
    {
        var files = new Dictionary<string, byte[]>(Files);
        files.Remove(name);
        if (change(Files[name]) is { } content)
            files.Add(name, content);
        return files;
    }

    private static TemporaryFolder MakeFolder(Dictionary<string, byte[]> files)
    {
        var folder = new TemporaryFolder();
        foreach ((string name, byte[] content) in files)
            File.WriteAllBytes(Path.Combine(folder.Path, name), content);
        return folder;
    }

    private static byte[] Flip(byte[] content, int place)
    {
        byte[] copy = [.. content];
        copy[place] ^= 0x10;
        return copy;
    }

    private static byte[] EditJson(byte[] content, string key, JsonNode? value)
    {
        JsonObject json = JsonNode.Parse(content)!.AsObject();
        json[key] = value;
        return Encoding.UTF8.GetBytes(json.ToJsonString());
    }

    private static byte[] ReplaceInHeader(byte[] content, string old, string replacement)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(content);
        string header = Encoding.UTF8.GetString(content, 8, length);
        Assert.Contains(old, header);
        return SafeTensorsFile.Build(header.Replace(old, replacement, StringComparison.Ordinal), content[(8 + length)..]);
    }
}
