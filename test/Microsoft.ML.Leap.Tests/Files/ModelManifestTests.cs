namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ModelManifestTests
{
    [TestMethod]
    public void ReadFile_AfterWriteAndRead_AcceptsTheSameContentOnly()
    {
        ModelManifest manifest = Read(Written());

        Assert.IsTrue(manifest.Contains("a"));
        Assert.IsFalse(manifest.Contains("b"));
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3 }, ReadFile(manifest, [1, 2, 3]));
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => ReadFile(manifest, [1, 2, 2])).Message, "a: the entry is damaged");
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => ReadFile(manifest, [1, 2])).Message, "3 bytes, but has 2");
    }

    [TestMethod]
    public void ReadFile_ReaderLeavesARestOrFindsFault_ComparesAllOfIt()
    {
        ModelManifest manifest = Read(Written());

        Assert.AreEqual(1, manifest.ReadFile("a", new MemoryStream([1, 2, 3]), 3, stream => stream.ReadByte()));
        StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(() => manifest.ReadFile("a", new MemoryStream([1, 2, 2]), 3, stream => stream.ReadByte())).Message,
            "a: the entry is damaged");
        Assert.AreEqual("mine", FindFault([1, 2, 3]));
        StringAssert.Contains(FindFault([1, 2, 2]), "a: the entry is damaged");

        string FindFault(byte[] content) => Assert.ThrowsExactly<FormatException>(
            () => manifest.ReadFile<int>("a", new MemoryStream(content), 3, _ => throw new FormatException("mine"))).Message;
    }

    [TestMethod]
    public void ReadFile_MoreThanClaimed_GivesWhatIsClaimed()
    {
        byte[] endless = [1, 2, 3, 4, 5, 6];

        CollectionAssert.AreEqual(
            new byte[] { 1, 2, 3 }, Read(Written()).ReadFile("a", new MemoryStream(endless), 3, stream => BoundedReader.ReadAll(stream, 10, "a")));
    }

    [TestMethod]
    public void Read_TruncatedAnywhere_NeverVerifies()
    {
        byte[] whole = Written();
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.ThrowsExactly<FormatException>(() => ReadFile(Read(whole[..length]), [1, 2, 3]));
        }
    }

    [TestMethod]
    [DataRow(-1)]
    [DataRow(65)]
    [DataRow(int.MaxValue)]
    public void Read_WrongCount_ThrowsFormatException(int count) =>
        Assert.ThrowsExactly<FormatException>(() => Read(BitConverter.GetBytes(count)));

    [TestMethod]
    public void Read_NameTwice_ThrowsFormatException()
    {
        byte[] one = Written()[4..];
        Assert.ThrowsExactly<FormatException>(() => Read([2, 0, 0, 0, .. one, .. one]));
    }

    private static byte[] ReadFile(ModelManifest manifest, byte[] content) =>
        manifest.ReadFile("a", new MemoryStream(content), content.Length, stream => BoundedReader.ReadAll(stream, 10, "a"));

    private static byte[] Written()
    {
        var manifest = new ModelManifest();
        manifest.Add("a", new MemoryStream([1, 2, 3]));
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream))
            manifest.Write(writer);
        return stream.ToArray();
    }

    private static ModelManifest Read(byte[] bytes) => ModelManifest.Read(new BinaryReader(new MemoryStream(bytes)));
}
