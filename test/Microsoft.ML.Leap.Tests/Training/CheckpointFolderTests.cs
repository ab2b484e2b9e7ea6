using System.Runtime.Versioning;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CheckpointFolderTests
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"leap-{Guid.NewGuid():N}");

    [TestCleanup]
    public void DeleteFolder()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    [TestMethod]
    public void Prune_OfFive_KeepsTheLatestTwoAndTheBest()
    {
        using var folder = new CheckpointFolder(_folder);
        Assert.IsEmpty(folder.Steps);
        for (long step = 8; step <= 12; step++)
            folder.Write(step, target => target.Write("a.txt", stream => stream.WriteByte(1)));
        folder.Prune(2, best: 9);

        CollectionAssert.AreEqual(new[] { 9L, 11L, 12L }, folder.Steps.ToArray());
        Assert.HasCount(3, Directory.GetDirectories(_folder));
    }

    [TestMethod]
    public void Write_Failing_LeavesNoCheckpoint()
    {
        using var folder = new CheckpointFolder(_folder);
        Assert.ThrowsExactly<NotSupportedException>(() => folder.Write(1, target =>
        {
            target.Write("a.txt", stream => stream.WriteByte(1));
            throw new NotSupportedException();
        }));
        Assert.IsEmpty(folder.Steps);

        folder.Write(1, target => target.Write("b.txt", stream => stream.WriteByte(1)));
        CollectionAssert.AreEquivalent(new[] { "b.txt", "leap.manifest" }, Directory.GetFiles(folder.GetPath(1)).Select(Path.GetFileName).ToArray());
    }

    [TestMethod]
    public void Constructor_FolderInUse_IsRefusedUntilItIsFree()
    {
        using (var first = new CheckpointFolder(_folder))
        {
            var e = Assert.ThrowsExactly<InvalidOperationException>(() => new CheckpointFolder(_folder));
            StringAssert.Contains(e.Message, "If another training uses it");
            StringAssert.Contains(e.Message, _folder);
        }

        CheckpointFolder.RequireUsable(_folder);
        new CheckpointFolder(_folder).Dispose();
    }

    [TestMethod]
    public void Constructor_File_IsRefused()
    {
        File.WriteAllText(_folder, "");
        try
        {
            StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => CheckpointFolder.RequireUsable(_folder)).Message, "is a file");
        }
        finally
        {
            File.Delete(_folder);
        }
    }

    [TestMethod]
    [UnsupportedOSPlatform("windows")]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    public void Write_NewFolder_IsForItsOwnerAlone()
    {
        using var folder = new CheckpointFolder(_folder);
        folder.Write(1, target => target.Write("a.txt", stream => stream.WriteByte(1)));
        const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.OtherRead | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        Assert.AreEqual(UnixFileMode.None, File.GetUnixFileMode(_folder) & Others);
        Assert.AreEqual(UnixFileMode.None, File.GetUnixFileMode(folder.GetPath(1)) & Others);
    }
}
