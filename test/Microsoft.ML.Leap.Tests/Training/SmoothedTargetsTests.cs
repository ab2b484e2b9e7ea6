using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SmoothedTargetsTests
{
    private static readonly LeapTokenizer Tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);

    [TestMethod]
    [DataRow(0.25)]
    [DataRow(0.9)]
    public void MeanLoss_OfRowsOfUnequalLength_IsTheMixtureByTheDefinition(double weight)
    {
        string[] texts = ["abcab", "ab", "cab", "abab"];
        using TokenizedCorpus corpus = TokenizedCorpus.Encode(texts.Select(text => text.AsMemory()), Tokenizer, long.MaxValue, Path.GetTempPath());
        using var model = new LeapModel(new LeapConfig(300, 8, 8, 2, 2, dropout: 0, usePositionEmbeddings: false), CPU, 3);
        var targets = new SmoothedTargets(corpus, weight, Tokenizer);
        var blocks = new DocumentBlocks(corpus, 8);
        TokenBlock[] batch = [.. blocks.InBatches(1000).Single()];
        using var scope = TorchSharp.torch.NewDisposeScope();
        (Tensor inputs, Tensor next, _) = blocks.Batch(batch, CPU);

        double loss = targets.MeanLoss(model, inputs, next).item<float>();

        Assert.AreEqual(NaiveLoss(model, corpus, batch, weight), loss, 1e-5);
    }

    [TestMethod]
    public void MeanLoss_Backward_GivesEveryWeightAGradient_AndKeepsNoTensor()
    {
        using TokenizedCorpus corpus = TokenizedCorpus.Encode(["abcab".AsMemory(), "ab".AsMemory()], Tokenizer, long.MaxValue, Path.GetTempPath());
        using var model = new LeapModel(new LeapConfig(257, 8, 8, 2, 2, dropout: 0), CPU, 3);
        var targets = new SmoothedTargets(corpus, 0.5, Tokenizer);
        var blocks = new DocumentBlocks(corpus, 8);
        using var state = new TorchState();
        using (TorchSharp.torch.NewDisposeScope())
        {
            (Tensor inputs, Tensor next, _) = blocks.Batch([.. blocks.InBatches(9).Single()], CPU);
            targets.MeanLoss(model, inputs, next).backward();
            Assert.IsTrue(model.Weights.All(entry => entry.Weight.grad is Tensor gradient && gradient.abs().sum().item<float>() > 0));
            model.zero_grad(set_to_none: true);
        }
    }

    [TestMethod]
    public void Run_OfStepBeyondTheLimitOfTargets_IsTheStepInOne()
    {
        // 900 tokens of a vocabulary of 40,000 are more than fit at once: in two parts. The whole is computed here by one call.
        string[] texts = [.. Enumerable.Range(0, 45).Select(i => new string((char)('a' + i % 7), 19))];
        using TokenizedCorpus corpus = TokenizedCorpus.Encode(texts.Select(text => text.AsMemory()), Tokenizer, long.MaxValue, Path.GetTempPath());
        using var model = new LeapModel(new LeapConfig(40_000, 4, 32, 1, 1, dropout: 0, usePositionEmbeddings: false), CPU, 3);
        model.train();
        var targets = new SmoothedTargets(corpus, 0.5, Tokenizer);
        var blocks = new DocumentBlocks(corpus, 32);
        TokenBlock[] batch = blocks.Shuffle(1, 0, 1000).Single();
        Assert.IsGreaterThan(SmoothedTargets.MostValues, batch.Sum(block => block.Length) * 40_000L);
        using var step = new TrainingStep(model, blocks, TrainingSamples.Options(1, 1000), targets);
        double expected;
        using (TorchSharp.torch.NewDisposeScope())
        {
            (Tensor inputs, Tensor next, PackedDocuments documents) = blocks.Pack(batch);
            expected = targets.MeanLoss(model, inputs, next, documents).item<float>();
        }

        StepResult result = step.Run([batch], 1e-3, 1);

        Assert.AreEqual(expected, result.Loss, 1e-4);
        Assert.AreEqual(blocks.TargetCount, result.Tokens);
    }

    [TestMethod]
    public void Fit_WithSmoothing_LearnsWhatThePairsAre()
    {
        // One document of random pairs: alone, its order is all there is to learn; its pairs are what other documents share.
        var random = new Random(1);
        string Document() => string.Concat(Enumerable.Range(0, 12).Select(_ => (string[])["ab", "cd", "ef", "gh"]).Select(pairs => pairs[random.Next(4)]));
        var context = new MLContext(1);
        string[] training = [.. Enumerable.Range(0, 6).Select(_ => Document())];
        string[] others = [.. Enumerable.Range(0, 40).Select(_ => Document())];
        double Perplexity(double smoothing)
        {
            LeapLanguageModelTrainer.Options options = TinyModel.Options();
            (options.UsePositionEmbeddings, options.Epochs, options.Dropout, options.TargetSmoothing) = (false, 150, 0, smoothing);
            options.BatchSize = 1;
            using LeapLanguageModelTransformer model = context.Leap().LanguageModel(options).Fit(TinyModel.View(context, training));
            return model.Evaluate(TinyModel.View(context, others)).Perplexity;
        }

        Assert.IsLessThan(Perplexity(0), Perplexity(0.9));
    }

    // The distribution is asked for token by token, as a difference of log-likelihoods of documents.
    private static double NaiveLoss(LeapModel model, TokenizedCorpus corpus, TokenBlock[] batch, double weight)
    {
        var counts = new NGramModel(5, Tokenizer.VocabularySize);
        foreach (int[] document in corpus.Documents)
            counts.Add(document);
        double sum = 0;
        long count = 0;
        foreach (TokenBlock block in batch)
        {
            int[] ids = new int[block.Length + 1];
            corpus.Ids.Read(block.Start, ids);
            using var noGradients = no_grad();
            using var scope = TorchSharp.torch.NewDisposeScope();
            float[] logProbabilities = model.forward(
                tensor(ids[..^1].Select(id => (long)id).ToArray(), [1, block.Length])).log_softmax(-1).data<float>().ToArray();
            for (int i = 0; i < block.Length; i++)
            {
                for (int id = 0; id < Tokenizer.VocabularySize; id++)
                {
                    double counted = Math.Exp(counts.LogLikelihood([.. ids[1..(i + 1)], id]) - counts.LogLikelihood(ids[1..(i + 1)]));
                    double wanted = weight * counted + (id == ids[i + 1] ? 1 - weight : 0);
                    sum -= wanted * logProbabilities[i * model.Config.VocabularySize + id];
                }

                count++;
            }
        }

        return sum / count;
    }
}
