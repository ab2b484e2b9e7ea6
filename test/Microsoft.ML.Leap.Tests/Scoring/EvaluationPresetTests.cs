using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class EvaluationPresetTests
{
    private const int Context = 16;

    [TestMethod]
    public void RollingDocuments_EqualsTheHarnessWindows()
    {
        string[] documents = [.. TinyModel.Texts, " two  words ", new string('z', Context), new string('y', 2 * Context + 1)];
        var losses = documents.SelectMany(document => NaiveEvaluation.Rolling(document, Context)).ToArray();
        double sum = losses.Sum(entry => entry.Loss);
        double words = documents.Sum(document => System.Text.RegularExpressions.Regex.Split(document, @"\s+").Length);
        double bytes = documents.Sum(document => System.Text.Encoding.UTF8.GetByteCount(document));

        LanguageModelMetrics metrics = TrainedModel.Transformer.Evaluate(documents, EvaluationOptions.RollingDocuments);

        Assert.AreEqual(losses.Length, metrics.TokenCount);
        Assert.AreEqual(words, metrics.WordCount);
        Assert.AreEqual(Math.Exp(sum / words), metrics.WordPerplexity, 1e-5 * Math.Exp(sum / words));
        Assert.AreEqual(Math.Exp(sum / bytes), metrics.BytePerplexity, 1e-5 * Math.Exp(sum / bytes));
        Assert.AreEqual(sum / bytes / Math.Log(2), metrics.BitsPerByte, 1e-5);
        Assert.AreEqual(documents.Length, metrics.DocumentCount);
    }

    [TestMethod]
    public void LeapNotebook_EqualsTheReferenceRunsBlocks()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "text");
        string[] lines = [.. Enumerable.Range(0, 1205).Select(i => i % 7 == 3 ? "" : TinyModel.Texts[i % 7][..Math.Min(9, TinyModel.Texts[i % 7].Length)])];
        File.WriteAllText(path, string.Join('\n', lines));
        using LeapLanguageModelTransformer model = TinyModel.Fit(
            TrainedModel.Context, options => options.Tokenizer = TokenizerOptions.Bytes(endTokenAfterEachLine: true));
        using LeapModel network = TinyModel.CopyNetwork(model);
        using TokenStore ids = Wikitext2Corpus.Pack(path, model.Tokenizer, Context);
        StreamBlocks blocks = StreamBlocks.Separate(ids, Context);
        double expected = LanguageModelLoss.Evaluate(network, blocks, batchSize: 32, () => { });

        LanguageModelMetrics metrics = model.Evaluate(lines, EvaluationOptions.LeapNotebook);

        Assert.AreEqual(blocks.TargetCount, metrics.TokenCount);
        Assert.AreEqual(expected, metrics.CrossEntropy, 1e-5);
    }
}
