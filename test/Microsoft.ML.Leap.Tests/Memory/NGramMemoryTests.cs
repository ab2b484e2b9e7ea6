namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class NGramMemoryTests
{
    private const int Vocabulary = 6;
    private const int End = 5;
    private const long Unlimited = long.MaxValue;

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(6)]
    public void Read_AnyText_HasTheProbabilitiesOfTheCounts(int order)
    {
        NGramModel counts = Count(order);
        var reader = new NGramMemory.Reader(NGramMemory.Create(counts, Unlimited), End);
        foreach (int[] text in (int[][])[[0, 3, 2, 1, 0, 0], [1], [4, 4, 4, 1, 0, 2, 2, 0, End]])
        {
            reader.Start(End);
            double logLikelihood = text.Sum(id => Math.Log(reader.Read(id)));

            // Shares are rounded down by at most 1 part in 128.
            Assert.AreEqual(counts.LogLikelihood(text), logLikelihood, text.Length * 0.01);
        }
    }

    [TestMethod]
    [DataRow(1, Unlimited)]
    [DataRow(3, Unlimited)]
    [DataRow(4, 60L * NGramMemory.BytesPerNGram)]
    [DataRow(6, 0L)]
    public void WriteProbabilities_AnyContext_AreThoseOfReadAndSumToOne(int order, long maximumBytes)
    {
        NGramMemory memory = NGramMemory.Create(Count(order), maximumBytes);
        int[] text = [End, 0, 3, 2, End, 1, 1, 0, 4, 4, 2];
        for (int length = 1; length <= text.Length; length++)
        {
            float[] probabilities = new float[Vocabulary];
            ReadAll(memory, text[..length]).WriteProbabilities(probabilities);

            Assert.AreEqual(1, probabilities.Sum(p => (double)p), 1e-6);
            for (int id = 0; id < Vocabulary; id++)
                Assert.AreEqual(ReadAll(memory, text[..length]).Read(id), probabilities[id], 1e-6);
        }
    }

    [TestMethod]
    public void Read_EndOfText_StartsADocument()
    {
        NGramMemory memory = NGramMemory.Create(Count(4), Unlimited);
        double[] first = [.. Enumerable.Range(0, Vocabulary).Select(id => ReadAll(memory, [End]).Read(id))];
        double[] later = [.. Enumerable.Range(0, Vocabulary).Select(id => ReadAll(memory, [End, 3, 1, 0, 2, End]).Read(id))];
        CollectionAssert.AreEqual(first, later);
    }

    [TestMethod]
    public void Create_LittleRoom_LeavesOutTheRarestOfTheLongest()
    {
        NGramModel counts = Count(4);
        NGramMemory all = NGramMemory.Create(counts, Unlimited);
        NGramMemory few = NGramMemory.Create(counts, all.Count / 2L * NGramMemory.BytesPerNGram);
        NGramMemory pairs = NGramMemory.Create(counts, 0);

        Assert.AreEqual(counts.GetNGrams().Length, all.Count);
        Assert.IsLessThanOrEqualTo(all.Count / 2, few.Count);
        Assert.AreEqual(counts.GetNGrams().Count(ngram => ngram.Length <= 2), pairs.Count);
    }

    [TestMethod]
    public void Create_OfItsOwnParts_IsTheSame()
    {
        NGramMemory memory = NGramMemory.Create(Count(3), Unlimited);
        NGramMemory again = NGramMemory.Create(3, Vocabulary, new TokenIds(Ids(memory)), new NativeArray<int>(Children(memory)), new NativeArray<ushort>(memory.Shares));
        int[] text = [End, 0, 1, 2, 3, 3, End, 1];
        for (int length = 1; length < text.Length; length++)
            Assert.AreEqual(ReadAll(memory, text[..length]).Read(text[length]), ReadAll(again, text[..length]).Read(text[length]));
    }

    [TestMethod]
    [DataRow("token beyond the vocabulary")]
    [DataRow("token that is negative")]
    [DataRow("tokens out of order")]
    [DataRow("shares over 1")]
    [DataRow("share that is no number")]
    [DataRow("negative share")]
    [DataRow("children that are missing")]
    [DataRow("children that nobody names")]
    [DataRow("negative number of children")]
    [DataRow("n-grams that are too long")]
    public void Create_DamagedParts_Throws(string damage)
    {
        NGramMemory memory = NGramMemory.Create(Count(3), Unlimited);
        int order = 3;
        int[] ids = Ids(memory);
        int[] children = Children(memory);
        ushort[] shares = memory.Shares.ToArray();
        switch (damage)
        {
            case "token beyond the vocabulary": ids[^1] = Vocabulary; break;
            case "token that is negative": ids[^1] = -1; break;
            case "tokens out of order": (ids[2], ids[3]) = (ids[3], ids[2]); break;
            case "shares over 1": shares[1] = BFloat16Bits.Round(2); break;
            case "share that is no number": shares[2] = BFloat16Bits.Round(float.NaN); break;
            case "negative share": shares[2] = BFloat16Bits.Round(-0.1f); break;
            case "children that are missing": children[0]++; break;
            case "children that nobody names": children[0]--; break;
            case "negative number of children": children[1] = -1; break;
            case "n-grams that are too long": order = 2; break;
            default: throw new ArgumentOutOfRangeException(nameof(damage));
        }

        Assert.ThrowsExactly<FormatException>(() => NGramMemory.Create(order, Vocabulary, new TokenIds(ids), new NativeArray<int>(children), new NativeArray<ushort>(shares)));
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(40_000)]
    public void Create_IdsOfAnySize_KeepsThemInWhatTheyNeed(int shift)
    {
        NGramMemory small = NGramMemory.Create(Count(3), Unlimited);
        int[] ids = [.. Ids(small).Select(id => id < 0 ? id : id + shift)];
        NGramMemory memory = NGramMemory.Create(3, Vocabulary + shift, new TokenIds(ids), new NativeArray<int>(Children(small)), new NativeArray<ushort>(small.Shares));

        CollectionAssert.AreEqual(ids, Ids(memory));
        Assert.AreEqual(small.Count * (shift == 0 ? sizeof(short) : sizeof(int)), memory.Ids.SizeInBytes);
        var reader = new NGramMemory.Reader(memory, End + shift);
        reader.Start(End + shift);
        NGramMemory.Reader expected = ReadAll(small, [End]);
        foreach (int id in (int[])[0, 3, 2, 1, 0, 0, 4])
        {
            Assert.AreEqual(expected.Left, reader.Left);
            Assert.AreEqual(expected.Matched, reader.Matched);

            // Of the larger vocabulary each token has less of what no context knows.
            Assert.AreEqual(expected.Read(id), reader.Read(id + shift), shift == 0 ? 0 : 0.1);
        }
    }

    private static NGramModel Count(int order)
    {
        var random = new Random(order);
        var counts = new NGramModel(order, Vocabulary);
        for (int document = 0; document < 60; document++)
            counts.Add([.. Enumerable.Range(0, random.Next(1, 9)).Select(_ => random.Next(1 + random.Next(5))), End]);
        return counts;
    }

    private static NGramMemory.Reader ReadAll(NGramMemory memory, int[] text)
    {
        var reader = new NGramMemory.Reader(memory, End);
        foreach (int id in text)
            reader.Read(id);
        return reader;
    }

    private static int[] Ids(NGramMemory memory) => [.. Enumerable.Range(0, memory.Count).Select(i => memory.Ids[i])];

    private static int[] Children(NGramMemory memory) => [.. Enumerable.Range(0, memory.Count).Select(memory.GetChildCount)];
}
