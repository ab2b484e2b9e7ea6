using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class DocumentBlocksTests
{
    private const int ContextLength = 16;

    private static readonly LeapTokenizer Tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(1000)]
    public void Shuffle_AnyBatchSize_PredictsEveryTokenOnce(int batchSize)
    {
        using TokenizedCorpus corpus = Corpus(Texts());
        var blocks = new DocumentBlocks(corpus, ContextLength);

        for (long epoch = 0; epoch < 3; epoch++)
        {
            TokenBlock[][] batches = blocks.Shuffle(seed: 1, epoch, batchSize);

            long[] targets = [.. batches.SelectMany(batch => batch)
                .SelectMany(block => Enumerable.Range(1, block.Length).Select(i => block.Start + i)).Order()];
            CollectionAssert.AreEqual(Enumerable.Range(1, (int)corpus.Ids.Count - 1).Select(i => (long)i).ToArray(), targets);
            Assert.HasCount((int)blocks.BatchCount(batchSize), batches);
            Assert.IsTrue(batches.All(batch => batch.Length > 0 && batch.All(block => block.Length is >= 1 and <= ContextLength)));
        }
    }

    [TestMethod]
    public void Shuffle_ShortDocuments_ReadsEachWholeAfterAnEndOfTextToken()
    {
        using TokenizedCorpus corpus = Corpus(["abc", "", "de", "f"]);
        var blocks = new DocumentBlocks(corpus, ContextLength);

        string[] read = [.. blocks.Shuffle(1, 0, 1).SelectMany(batch => batch).Select(block => Read(corpus, block)).Order(StringComparer.Ordinal)];

        CollectionAssert.AreEqual(new[] { "|abc|", "|de|", "|f|" }, read);
    }

    [TestMethod]
    public void Shuffle_LongDocument_IsCutElsewhereEachEpoch_AndTheSameAgain()
    {
        using TokenizedCorpus corpus = Corpus([new string('x', 100)]);
        var blocks = new DocumentBlocks(corpus, ContextLength);
        string Cuts(long epoch) => string.Join(' ', blocks.Shuffle(1, epoch, 1).SelectMany(batch => batch).Select(block => block.Start).Order());

        string[] epochs = [.. Enumerable.Range(0, 8).Select(epoch => Cuts(epoch))];

        Assert.IsGreaterThan(4, epochs.Distinct().Count());
        CollectionAssert.AreEqual(epochs, Enumerable.Range(0, 8).Select(epoch => Cuts(epoch)).ToArray());
    }

    [TestMethod]
    public void Parts_OfABatch_HoldAllItsBlocksAtTheLeastCostOfAllPartitions()
    {
        using TokenizedCorpus corpus = Corpus([.. new[] { 3, 700, 45, 310, 300, 2, 90, 88, 650 }.Select(length => new string('x', length))]);
        var blocks = new DocumentBlocks(corpus, 1000);
        TokenBlock[] batch = blocks.Shuffle(1, 0, 1000).Single();
        TokenBlock[] sorted = [.. batch.OrderByDescending(block => block.Length)];
        static long Cost(IEnumerable<TokenBlock[]> parts) => parts.Sum(part => 200 + (long)part.Length * part.Max(block => block.Length));

        TokenBlock[][] parts = [.. blocks.Parts(batch)];

        // A bit for each gap between neighbours that parts them.
        long least = Enumerable.Range(0, 1 << (sorted.Length - 1)).Min(bits => Cost(Partition(sorted, bits)));
        CollectionAssert.AreEquivalent(batch, parts.SelectMany(part => part).ToArray());
        Assert.AreEqual(least, Cost(parts));
        Assert.IsTrue(parts.Length is > 1 and < 9);
    }

    [TestMethod]
    public void Loss_OfTrainingRows_IsThatOfTransform()
    {
        var context = new MLContext(1);
        string[] texts = Texts();
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(Options()).Fit(TinyModel.View(context, texts));
        using LeapModel network = TinyModel.CopyNetwork(model);
        network.eval();
        using TokenizedCorpus corpus = Corpus(texts);
        var blocks = new DocumentBlocks(corpus, ContextLength);

        double loss = 0;
        long count = 0;
        foreach (TokenBlock[] part in blocks.Shuffle(seed: 1, epoch: 5, batchSize: 2).SelectMany(blocks.Parts))
        {
            using DisposeScope scope = NewDisposeScope();
            using var noGradients = no_grad();
            (Tensor inputs, Tensor targets, _) = blocks.Batch(part, CPU);
            long[] wanted = targets.data<long>().ToArray();
            float[] logProbabilities = network.forward(inputs).log_softmax(-1).data<float>().ToArray();
            for (int i = 0; i < wanted.Length; i++)
            {
                // Transform does not predict a row's end.
                if (wanted[i] == LinearCrossEntropy.IgnoredTarget || wanted[i] == Tokenizer.EndOfTextId)
                    continue;
                loss -= logProbabilities[i * network.Config.VocabularySize + wanted[i]];
                count++;
            }
        }

        LanguageModelMetrics scored = model.Evaluate(TinyModel.View(context, texts));
        Assert.AreEqual(scored.TokenCount, count);
        Assert.IsLessThan(30, scored.Perplexity, "a model that has learned nothing");
        Assert.AreEqual(1, Math.Exp(loss / count) / scored.Perplexity, 0.03);
    }

    [TestMethod]
    public void Fit_Resumed_EqualsTheRunThatWasNotInterrupted()
    {
        using var folder = new TemporaryFolder();
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, Texts());
        double Perplexity(Action<LeapLanguageModelTrainer.Options> change)
        {
            LeapLanguageModelTrainer.Options options = Options();
            options.Epochs = 4;
            change(options);
            using LeapLanguageModelTransformer model = context.Leap().LanguageModel(options).Fit(data);
            return model.Evaluate(data).Perplexity;
        }

        using var source = new CancellationTokenSource();
        double whole = Perplexity(_ => { });
        Assert.ThrowsExactly<OperationCanceledException>(() => Perplexity(options =>
        {
            options.CheckpointFolder = folder.Path;
            options.CheckpointInterval = TrainingInterval.Steps(3);
            options.CancellationToken = source.Token;
            options.Progress = progress =>
            {
                if (progress.Step == 8)
                    source.Cancel();
            };
        }));
        double resumed = Perplexity(options => (options.CheckpointFolder, options.Resume) = (folder.Path, true));

        Assert.AreEqual(whole, resumed);
    }

    private static LeapLanguageModelTrainer.Options Options()
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.UsePositionEmbeddings = false;
        options.Epochs = 30;
        options.Dropout = 0;
        options.Precision = TrainingPrecision.Float32;
        return options;
    }

    private static List<TokenBlock[]> Partition(TokenBlock[] sorted, int bits)
    {
        List<TokenBlock[]> parts = [];
        int start = 0;
        for (int i = 1; i <= sorted.Length; i++)
        {
            if (i < sorted.Length && (bits >> (i - 1) & 1) == 0)
                continue;
            parts.Add(sorted[start..i]);
            start = i;
        }

        return parts;
    }

    // Of lengths below and above the context.
    private static string[] Texts() => [.. Enumerable.Range(1, 24).Select(i => string.Join(' ', Enumerable.Repeat($"row {i % 5}", 1 + i % 7)))];

    private static TokenizedCorpus Corpus(string[] texts) =>
        TokenizedCorpus.Encode(texts.Select(text => text.AsMemory()), Tokenizer, long.MaxValue, Path.GetTempPath());

    private static string Read(TokenizedCorpus corpus, TokenBlock block)
    {
        int[] ids = new int[block.Length + 1];
        corpus.Ids.Read(block.Start, ids);
        return string.Concat(ids.Select(id => id == Tokenizer.EndOfTextId ? '|' : (char)id));
    }
}
