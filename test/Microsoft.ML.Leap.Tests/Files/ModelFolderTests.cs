using System.Text;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ModelFolderTests
{
    private static readonly string[] _xAndY = ["x.txt", "y.txt", "leap.manifest"];

    private string _folder = "";

    [TestInitialize]
    public void ChooseFolder() => _folder = Path.Combine(Path.GetTempPath(), "leap-" + Guid.NewGuid().ToString("N"));

    [TestCleanup]
    public void DeleteFolder()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    [TestMethod]
    public void SaveThenLoad_Files_RoundTripInANewFolder()
    {
        string nested = Path.Combine(_folder, "a", "b");
        ModelFolder.Save(nested, target => Write(target, ("x.txt", "one"), ("y.txt", "")));

        CollectionAssert.AreEquivalent(_xAndY, Names(nested));
        Assert.AreEqual("one", ModelFolder.Load(nested, source => Read(source, "x.txt")));
        Assert.AreEqual("", ModelFolder.Load(nested, source => Read(source, "y.txt")));
        Assert.AreEqual(3, ModelFolder.Load(nested, source => source.Read("x.txt", stream => stream.Length)));
        Assert.IsTrue(ModelFolder.Load(nested, source => source.Contains("y.txt")));
        Assert.IsFalse(ModelFolder.Load(nested, source => source.Contains("z.txt")));
    }

    [TestMethod]
    public void Save_OverAnOlderModel_ReplacesIt()
    {
        ModelFolder.Save(_folder, target => Write(target, ("x.txt", "a long old text"), ("y.txt", "old")));
        ModelFolder.Save(_folder, target => Write(target, ("x.txt", "new"), ("y.txt", "new")));
        Assert.AreEqual("new", ModelFolder.Load(_folder, source => Read(source, "x.txt")));
        Assert.HasCount(3, Names(_folder));
    }

    // What a kill leaves behind while files are renamed: some of them, and the list of sums of either model.
    [TestMethod]
    [DataRow("x.txt", "leap.manifest")]
    [DataRow("y.txt", "leap.manifest")]
    [DataRow("x.txt", "x.txt")]
    [DataRow("leap.manifest", "leap.manifest")]
    public void Load_FilesOfTwoModels_IsRefused(string taken, string andTaken)
    {
        ModelFolder.Save(_folder, target => Write(target, ("x.txt", "old"), ("y.txt", "old")));
        string other = Path.Combine(_folder, "other");
        ModelFolder.Save(other, target => Write(target, ("x.txt", "new"), ("y.txt", "new")));
        foreach (string name in (string[])[taken, andTaken])
            File.Copy(Path.Combine(other, name), Path.Combine(_folder, name), overwrite: true);

        var e = Assert.ThrowsExactly<FormatException>(
            () => ModelFolder.Load(_folder, source => Read(source, "x.txt") + Read(source, "y.txt")));

        StringAssert.Contains(e.Message, "leap.manifest");
        File.Delete(Path.Combine(_folder, "leap.manifest"));
        Assert.AreEqual(6, ModelFolder.Load(_folder, source => Read(source, "x.txt") + Read(source, "y.txt")).Length);
    }

    [TestMethod]
    public void Save_LeftoversOfAKilledProcess_AreDeleted()
    {
        Directory.CreateDirectory(_folder);
        string leftover = Path.Combine(_folder, $"x.txt.{Guid.NewGuid():N}.tmp");
        string young = Path.Combine(_folder, $"x.txt.{Guid.NewGuid():N}.tmp");
        string mine = Path.Combine(_folder, "mine.tmp");
        foreach (string path in (string[])[leftover, young, mine])
            File.WriteAllText(path, "");
        File.SetLastWriteTimeUtc(leftover, DateTime.UtcNow.AddHours(-2));
        File.SetLastWriteTimeUtc(mine, DateTime.UtcNow.AddHours(-2));

        ModelFolder.Save(_folder, target => Write(target, ("x.txt", "new")));

        Assert.IsFalse(File.Exists(leftover));
        Assert.IsTrue(File.Exists(young));
        Assert.IsTrue(File.Exists(mine));
    }

    [TestMethod]
    public void Save_Interrupted_LeavesTheOldModelAndNothingElse()
    {
        ModelFolder.Save(_folder, target => Write(target, ("x.txt", "old"), ("y.txt", "old")));

        Assert.ThrowsExactly<OperationCanceledException>(() => ModelFolder.Save(_folder, target =>
        {
            Write(target, ("x.txt", "new"));
            target.Write("y.txt", stream =>
            {
                stream.Write("ne"u8);
                throw new OperationCanceledException();
            });
        }));

        Assert.AreEqual("old", ModelFolder.Load(_folder, source => Read(source, "x.txt")));
        Assert.AreEqual("old", ModelFolder.Load(_folder, source => Read(source, "y.txt")));
        CollectionAssert.AreEquivalent(_xAndY, Names(_folder));
    }

    [TestMethod]
    public void Save_WhileWriting_ShowsNoFileUnderItsFinalName() => ModelFolder.Save(_folder, target =>
    {
        Write(target, ("x.txt", "new"));
        Assert.IsFalse(File.Exists(Path.Combine(_folder, "x.txt")));
    });

    [TestMethod]
    public void Load_MissingFolderOrFile_SaysWhich()
    {
        var noFolder = Assert.ThrowsExactly<DirectoryNotFoundException>(() => ModelFolder.Load(_folder, source => 1));
        StringAssert.Contains(noFolder.Message, _folder);

        Directory.CreateDirectory(_folder);
        var noFile = Assert.ThrowsExactly<FileNotFoundException>(() => ModelFolder.Load(_folder, source => Read(source, "config.json")));
        StringAssert.Contains(noFile.Message, _folder);
        StringAssert.Contains(noFile.Message, "'config.json'");
    }

    [TestMethod]
    [DataRow("../x")]
    [DataRow("a/b")]
    [DataRow("")]
    public void ReadAndWrite_ANameThatIsAPath_ThrowsArgumentException(string name)
    {
        Assert.ThrowsExactly<ArgumentException>(() => ModelFolder.Save(_folder, target => Write(target, (name, ""))));
        Assert.ThrowsExactly<ArgumentException>(() => ModelFolder.Load(_folder, source => Read(source, name)));
    }

    private static void Write(IModelTarget target, params (string Name, string Text)[] files)
    {
        foreach ((string name, string text) in files)
            target.Write(name, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
    }

    private static string Read(IModelSource source, string name) =>
        source.Read(name, stream => Encoding.UTF8.GetString(BoundedReader.ReadAll(stream, 1000, name)));

    private static string[] Names(string folder) => [.. Directory.GetFileSystemEntries(folder).Select(path => Path.GetFileName(path))];
}
