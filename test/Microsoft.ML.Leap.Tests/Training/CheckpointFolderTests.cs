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
        var folder = new CheckpointFolder(_folder);
        Assert.IsEmpty(folder.Steps);
        for (long step = 8; step <= 12; step++)
            folder.Write(step, target => target.Write("a.txt", stream => stream.WriteByte(1)));
        folder.Prune(2, best: 9);

        CollectionAssert.AreEqual(new[] { 9L, 11L, 12L }, folder.Steps.ToArray());
        Assert.HasCount(3, Directory.GetFileSystemEntries(_folder));
    }

    [TestMethod]
    public void Write_Failing_LeavesNoCheckpoint()
    {
        var folder = new CheckpointFolder(_folder);
        Assert.ThrowsExactly<NotSupportedException>(() => folder.Write(1, target =>
        {
            target.Write("a.txt", stream => stream.WriteByte(1));
            throw new NotSupportedException();
        }));
        Assert.IsEmpty(folder.Steps);

        folder.Write(1, target => target.Write("b.txt", stream => stream.WriteByte(1)));
        CollectionAssert.AreEqual(new[] { "b.txt" }, Directory.GetFiles(folder.GetPath(1)).Select(Path.GetFileName).ToArray());
    }
}
