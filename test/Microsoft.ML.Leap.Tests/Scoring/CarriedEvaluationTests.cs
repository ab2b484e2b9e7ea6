using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CarriedEvaluationTests
{
    private const int Context = 16;

    [TestMethod]
    [DataRow(false, 5)]
    [DataRow(false, Context)]
    [DataRow(true, 5)]
    [DataRow(true, Context)]
    public void Evaluate_Carried_EqualsOneLongPass(bool usesPositions, int length)
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(
            TrainedModel.Context, options => options.UsePositionEmbeddings = usesPositions);
        string[] documents = [.. TinyModel.Texts, new string('y', 3 * Context)];
        int end = model.Tokenizer.EndOfTextId;
        int[] stream = [end, .. documents.SelectMany(document => model.Tokenizer.Encode(document).Append(end))];
        using LeapModel whole = Lengthen(model, stream.Length, length);
        var options = new EvaluationOptions
        {
            Mode = EvaluationMode.Streaming,
            EndOfText = EndOfTextHandling.Scored,
            BlockLength = length,
            PositionBucketSize = length,
        };

        LanguageModelMetrics joined = model.Evaluate(documents, options);
        LanguageModelMetrics separate = model.Evaluate(documents, options with { EndOfText = EndOfTextHandling.SeparateDocuments });

        Assert.AreEqual(stream.Length - 1, joined.TokenCount);
        Assert.AreEqual(Loss(whole, stream) / (stream.Length - 1), joined.CrossEntropy, 1e-5);
        Assert.AreEqual(joined.TokenCount, joined.PositionBuckets.Single().TokenCount);

        double sum = documents.Sum(document => Loss(whole, [end, .. model.Tokenizer.Encode(document)]));
        Assert.AreEqual(stream.Length - 1 - documents.Length, separate.TokenCount);
        Assert.AreEqual(sum / separate.TokenCount, separate.CrossEntropy, 1e-5);
    }

    [TestMethod]
    public void Evaluate_CarriedAndDisjoint_DifferWhereTextsAreLongerThanABlock()
    {
        // Otherwise the test above would not show that anything is carried.
        string[] documents = [string.Concat(TinyModel.Texts)];
        LanguageModelMetrics disjoint = TrainedModel.Transformer.Evaluate(documents, new EvaluationOptions());
        LanguageModelMetrics carried = TrainedModel.Transformer.Evaluate(documents, new EvaluationOptions { Mode = EvaluationMode.Streaming });
        Assert.AreEqual(disjoint.TokenCount, carried.TokenCount);
        Assert.AreNotEqual(disjoint.CrossEntropy, carried.CrossEntropy, 1e-5);
    }

    // The same network in a context as long as the text; learned positions begin anew in each block.
    private static LeapModel Lengthen(LeapLanguageModelTransformer model, int context, int blockLength)
    {
        using LeapModel network = TinyModel.CopyNetwork(model);
        LeapConfig config = network.Config;
        var longer = new LeapModel(
            new LeapConfig(
                config.VocabularySize, config.HiddenSize, context, config.LayerCount, config.HeadCount,
                rescaleValue: config.RescaleValue, usePositionEmbeddings: config.UsePositionEmbeddings, convolutionSize: config.ConvolutionSize,
                useForgetGates: config.UseForgetGates, focusSize: config.FocusSize),
            CPU, 0);
        longer.eval();
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor place = arange(context).remainder(blockLength);
        foreach (((string name, Tensor weight), (_, Tensor original)) in longer.Weights.Zip(network.Weights))
            weight.copy_(name.Contains("position", StringComparison.Ordinal) ? original.index_select(0, place) : original);
        return longer;
    }

    private static double Loss(LeapModel model, int[] stream)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor ids = tensor(stream.Select(id => (long)id).ToArray());
        Tensor logits = model.forward(ids[..^1].unsqueeze(0))[0].to(ScalarType.Float64);
        return (logits.logsumexp(1) - logits.gather(1, ids[1..].unsqueeze(1)).squeeze(1)).sum().item<double>();
    }
}
