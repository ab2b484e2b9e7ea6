using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ScoringCommandTests
{
    [TestMethod]
    public void Scoring_OfShortRows_WritesARowForEachLength()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "scoring.json");

        int code = ScoringCommand.Create().Parse(
            ["--json", path, "--tokens", "2", "40", "--vocabulary", "600", "--context", "16", "--rounds", "1", "--round-tokens", "64"]).Invoke();

        Assert.AreEqual(0, code);
        JsonArray rows = JsonNode.Parse(File.ReadAllText(path))!["rows"]!.AsArray();
        CollectionAssert.AreEqual(new[] { 2, 40 }, rows.Select(row => (int)row!["tokens"]!).ToArray());
        foreach (JsonNode? row in rows)
        {
            Assert.IsTrue((double)row!["rowsPerSecondBatched"]! > 0);
            Assert.IsTrue((double)row["rowsPerSecondSingle"]! > 0);
        }
    }

    [TestMethod]
    public void Rows_OfAnyLength_HaveExactlySoManyTokens()
    {
        var texts = new ScoringTexts(500);
        LeapTokenizer tokenizer = TokenizerOptions.ByteLevelBpe(600).Create(texts.Corpus(300, 50).Select(text => text.AsMemory()), default);
        foreach (int tokens in new[] { 1, 7, 100 })
        {
            string[] rows = texts.Rows(tokenizer, 5, tokens);
            Assert.HasCount(5, rows);
            foreach (string row in rows)
                Assert.HasCount(tokens, tokenizer.Encode(row));
        }
    }
}
