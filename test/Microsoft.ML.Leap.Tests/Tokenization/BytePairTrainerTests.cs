using System.Diagnostics;
using System.Text;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class BytePairTrainerTests
{
    private const string Verse = "the cat sat on the mat, the rat ate the cat; aaaa aaa banana bananas. It's the cat's hat's brim.";

    [TestMethod]
    [DataRow(Verse)]
    [DataRow("aaaaaaaaaaa aaaaaaa aaaa aaa")]
    [DataRow("abababab babababa abcabcabcabc cabcab")]
    [DataRow("日本語日本語 日本 本語 😀😀😀 é é é")]
    public void Train_SmallText_MatchesNaiveRecount(string text)
    {
        BytePairVocabulary learned = Train(400, text);
        AssertSame(LearnNaively(text, 400), learned);
    }

    [TestMethod]
    public void Train_RandomTexts_MatchesNaiveRecount()
    {
        var random = new Random(7);
        for (int round = 0; round < 60; round++)
        {
            string text = string.Concat(Enumerable.Range(0, 120).Select(_ => "aab bc"[random.Next(6)]));
            AssertSame(LearnNaively(text, 300), Train(300, text));
        }
    }

    [TestMethod]
    public void Train_TextsInAnotherOrder_GivesTheSameMerges()
    {
        string[] texts = Verse.Split(' ');
        string[] reversed = [.. texts.Reverse()];
        AssertSame([.. Train(300, texts).Merges], Train(300, reversed));
    }

    [TestMethod]
    public void Train_NoPairTwice_LearnsNothing() => Assert.AreEqual(257, Train(1000, "abcdefg").Count);

    [TestMethod]
    public void Train_NoTexts_HasBytesAndEndOfText() => Assert.AreEqual(257, Train(1000).Count);

    [TestMethod]
    public void Train_SpecialLiterals_AreNotLearned()
    {
        var literals = new SpecialLiteralSet(new Dictionary<string, int> { ["<unk>"] = 257 });
        BytePairVocabulary learned = BytePairTrainer.Train(["<unk><unk><unk><unk>".AsMemory()], 300, literals, CancellationToken.None);
        Assert.AreEqual(257, learned.Count);
    }

    [TestMethod]
    public void Train_Cancelled_Throws()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(
            () => TokenizerOptions.ByteLevelBpe().Create([Verse.AsMemory()], source.Token));
    }

    [TestMethod]
    public void Train_LongWordWithoutSpaces_CutsBetweenCharacters()
    {
        string text = string.Concat(Enumerable.Repeat("x😀", 1000));
        Assert.IsFalse(Train(400, text).Merges.Any(m => m.Left == 0xEF), "A half of a surrogate pair was learned as U+FFFD.");
    }

    [TestMethod]
    public void Train_FiveMegabytes_TakesLessThanThirtySeconds()
    {
        string text = TestData.ReadText("wikitext-2", "wiki.train.tokens.gz")[..5_000_000];
        var watch = Stopwatch.StartNew();
        Assert.AreEqual(8192, Train(8192, text).Count);
        Assert.IsLessThan(30, watch.Elapsed.TotalSeconds);
    }

    private static BytePairVocabulary Train(int vocabularySize, params string[] texts) => BytePairTrainer.Train(
        texts.Select(t => t.AsMemory()), vocabularySize, new SpecialLiteralSet(new Dictionary<string, int>()), CancellationToken.None);

    private static void AssertSame(BytePairMerge[] expected, BytePairVocabulary actual) =>
        CollectionAssert.AreEqual(expected, actual.Merges.ToArray());

    /// <summary>Counts all pairs anew for each merge.</summary>
    private static BytePairMerge[] LearnNaively(string text, int vocabularySize)
    {
        List<List<int>> words = [];
        for (string rest = text; rest.Length > 0;)
        {
            int length = Gpt2PreTokenizer.GetWordLength(rest);
            words.Add([.. Encoding.UTF8.GetBytes(rest[..length]).Select(b => (int)b)]);
            rest = rest[length..];
        }

        var names = Enumerable.Range(0, 256).ToDictionary(b => ((char)b).ToString(), b => b);
        var texts = names.ToDictionary(p => p.Value, p => p.Key);
        var merges = new List<BytePairMerge>();
        while (names.Count + 1 < vocabularySize)
        {
            var best = words.SelectMany(w => w.Zip(w.Skip(1))).GroupBy(p => p)
                .OrderByDescending(g => g.Count()).ThenBy(g => g.Key.First).ThenBy(g => g.Key.Second).FirstOrDefault();
            if (best is null || best.Count() < 2)
                break;

            (int left, int right) = best.Key;
            string name = texts[left] + texts[right];
            if (!names.TryGetValue(name, out int id))
            {
                id = names.Count + 1;
                names.Add(name, id);
                texts.Add(id, name);
            }

            var merge = new BytePairMerge(left, right, id);
            if (!merges.Contains(merge))
                merges.Add(merge);
            foreach (List<int> word in words)
            {
                for (int i = 0; i + 1 < word.Count; i++)
                {
                    if ((word[i], word[i + 1]) != (left, right))
                        continue;
                    word[i] = id;
                    word.RemoveAt(i + 1);
                }
            }
        }

        return [.. merges];
    }
}
