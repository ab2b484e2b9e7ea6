namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ModelManifestTests
{
    [TestMethod]
    public void WriteThenRead_Verify_AcceptsTheSameContentOnly()
    {
        ModelManifest manifest = Read(Written());

        Assert.IsTrue(manifest.Contains("a"));
        Assert.IsFalse(manifest.Contains("b"));
        manifest.Verify("a", new MemoryStream([1, 2, 3]));
        StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(() => manifest.Verify("a", new MemoryStream([1, 2, 2]))).Message, "a: the entry is damaged");
        StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(() => manifest.Verify("a", new MemoryStream([1, 2]))).Message, "3 bytes, but has 2");
    }

    [TestMethod]
    public void Read_TruncatedAnywhere_NeverVerifies()
    {
        byte[] whole = Written();
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.ThrowsExactly<FormatException>(() => Read(whole[..length]).Verify("a", new MemoryStream([1, 2, 3])));
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
