namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingTextsTests
{
    [TestMethod]
    [DataRow(long.MaxValue)]
    [DataRow(0L)]
    public void Enumerate_AfterRead_GivesTheTextsAgainAndAgain(long maximumMemory)
    {
        // A lone surrogate too, which no UTF-8 could hold.
        string[] texts = ["one", "", "naïve ☕ 日本", "half \ud83d", new string('x', 2_000_000), "last"];
        using var folder = new TemporaryFolder();
        using (TrainingTexts read = TrainingTexts.Read(texts.Select(text => text.AsMemory()), maximumMemory, folder.Path))
        {
            string[] expected = [.. texts.Where(text => text.Length > 0)];
            Assert.AreEqual(5, read.Count);
            Assert.AreEqual(expected.Sum(text => (long)System.Text.Encoding.UTF8.GetByteCount(text)), read.ByteCount);
            for (int pass = 0; pass < 2; pass++)
                CollectionAssert.AreEqual(expected, read.Enumerate(CancellationToken.None).Select(text => text.ToString()).ToArray());
        }

        Assert.IsEmpty(Directory.GetFiles(folder.Path));
    }

    [TestMethod]
    public void Enumerate_Cancelled_Throws()
    {
        using TrainingTexts read = TrainingTexts.Read(["a".AsMemory()], long.MaxValue, Path.GetTempPath());
        Assert.ThrowsExactly<OperationCanceledException>(() => read.Enumerate(new CancellationToken(canceled: true)).Count());
    }
}
