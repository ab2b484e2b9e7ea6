using System.IO.Compression;
using System.Reflection;
using System.Text;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ModelZipTests
{
    private static readonly string[] _files = ["config.json", "model.safetensors"];

    [TestMethod]
    public void SaveThenLoad_Files_RoundTripAndKnowTheirLength()
    {
        byte[] zip = Save(new FileTransformer("one", "two two"));

        Load(zip, source =>
        {
            Assert.AreEqual("one", Read(source, "config.json"));
            Assert.AreEqual("two two", Read(source, "model.safetensors"));
            Assert.AreEqual(7L, source.Read("model.safetensors", stream => stream.Length));
            Assert.IsTrue(source.Contains("config.json"));
            Assert.IsFalse(source.Contains("leap.json"));
            return 0;
        });
    }

    [TestMethod]
    public void Save_Files_AreEntriesBesideModelKey()
    {
        using var archive = new ZipArchive(new MemoryStream(Save(new FileTransformer("one", "two"))));
        string[] names = [.. archive.Entries.Select(entry => entry.FullName.Replace('\\', '/'))];
        foreach (string name in _files.Append("Model.key"))
            CollectionAssert.Contains(names, "TransformerChain/" + name);
    }

    [TestMethod]
    public void Load_EntryNotThere_ThrowsFormatExceptionNamingIt()
    {
        byte[] zip = Save(new FileTransformer("one", "two"));
        var unknown = Assert.Throws<FormatException>(() => Load(zip, source => Read(source, "leap.json")));
        StringAssert.Contains(unknown.Message, "leap.json");

        byte[] without = Edit(zip, archive => Entry(archive, "config.json").Delete());
        var removed = Assert.Throws<FormatException>(() => Load(without, source => Read(source, "config.json")));
        StringAssert.Contains(removed.Message, "config.json");
    }

    [TestMethod]
    [DataRow("onf")]
    [DataRow("on")]
    [DataRow("")]
    public void Load_EntryReplaced_ThrowsFormatExceptionNamingIt(string content)
    {
        byte[] zip = Edit(Save(new FileTransformer("one", "two")), archive =>
        {
            ZipArchiveEntry entry = Entry(archive, "config.json");
            string name = entry.FullName;
            entry.Delete();
            using Stream stream = archive.CreateEntry(name).Open();
            stream.Write(Encoding.UTF8.GetBytes(content));
        });

        var e = Assert.Throws<FormatException>(() => Load(zip, source => Read(source, "config.json")));
        StringAssert.StartsWith(e.Message, "config.json: ");
    }

    [TestMethod]
    public void Load_AFlippedBitInAnEntrysData_ThrowsFormatException()
    {
        byte[] random = new byte[4000];
        new Random(1).NextBytes(random);
        byte[] zip = Save(new FileTransformer("one", Convert.ToHexString(random)));
        int begin = DataOffset(zip, "model.safetensors");
        for (int i = 50; i < 3000; i += 100)
        {
            byte[] flipped = (byte[])zip.Clone();
            flipped[begin + i] ^= (byte)(1 << (i % 8));
            Assert.Throws<FormatException>(() => Load(flipped, source => Read(source, "model.safetensors")), $"byte {i}");
        }
    }

    [TestMethod]
    public void Load_FormatException_IsThrownAgainWhenMLNetAsksForItsMark()
    {
        byte[] zip = Save(new FileTransformer("one", "two"));
        var thrown = Assert.Throws<FormatException>(() => Load<int>(zip, _ => throw new FormatException("bad weights")));
        Assert.AreEqual("bad weights", thrown.Message);

        // What ML.NET calls on the way out, on each level of a pipeline, before it wraps the exception.
        MethodInfo isMarked = Core("Microsoft.ML.Runtime.Contracts").GetMethod("IsMarked", [typeof(Exception)])!;
        var again = Assert.Throws<FormatException>(() => Invoke(isMarked, null, thrown));
        Assert.AreSame(thrown, again);

        thrown.Data["key"] = "value";
        Assert.IsTrue(thrown.Data.Contains("key"));
        Assert.HasCount(1, thrown.Data);
    }

    private static byte[] Save(ITransformer transformer)
    {
        using var stream = new MemoryStream();
        new MLContext().Model.Save(transformer, null, stream);
        return stream.ToArray();
    }

    // As ML.NET does it, up to the call of the loader, by reflection: its types are internal to it.
    private static T Load<T>(byte[] zip, Func<IModelSource, T> load)
    {
        MethodInfo open = Core("Microsoft.ML.RepositoryReader").GetMethod("Open")!;
        using var reader = (IDisposable)Invoke(open, null, new MemoryStream(zip), new MLContext(), true)!;
        MethodInfo openEntry = reader.GetType().GetMethod("OpenEntry", [typeof(string), typeof(string)])!;
        object entry = Invoke(openEntry, reader, "TransformerChain", "Model.key")!;
        ConstructorInfo constructor = Core("Microsoft.ML.ModelLoadContext").GetConstructors(BindingFlags.NonPublic | BindingFlags.Instance)
            .Single(candidate => candidate.GetParameters().Length == 3);
        object context = constructor.Invoke([reader, entry, "TransformerChain"]);
        return (T)Invoke(typeof(ModelZip).GetMethod(nameof(ModelZip.Load))!.MakeGenericMethod(typeof(T)), null, context, load)!;
    }

    private static object? Invoke(MethodInfo method, object? target, params object?[] arguments) =>
        method.Invoke(target, BindingFlags.DoNotWrapExceptions, null, arguments, null);

    private static Type Core(string name) => typeof(SchemaShape).Assembly.GetType(name, throwOnError: true)!;

    private static string Read(IModelSource source, string name) =>
        source.Read(name, stream => Encoding.UTF8.GetString(BoundedReader.ReadAll(stream, 100_000, name)));

    private static byte[] Edit(byte[] zip, Action<ZipArchive> edit)
    {
        using var stream = new MemoryStream();
        stream.Write(zip);
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Update, leaveOpen: true))
            edit(archive);
        return stream.ToArray();
    }

    private static ZipArchiveEntry Entry(ZipArchive archive, string name) =>
        archive.Entries.Single(entry => entry.Name == name);

    // An entry's data follow its name in its local header.
    private static int DataOffset(byte[] zip, string name) => zip.AsSpan().IndexOf(Encoding.UTF8.GetBytes(name)) + name.Length;

    private sealed class FileTransformer(params string[] contents) : ITransformer
    {
        public bool IsRowToRowMapper => false;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        public IDataView Transform(IDataView input) => input;

        void ICanSaveModel.Save(ModelSaveContext ctx) => ModelZip.Save(ctx, target =>
        {
            foreach ((string name, string content) in _files.Zip(contents))
                target.Write(name, stream => stream.Write(Encoding.UTF8.GetBytes(content)));
        });
    }
}
