using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>A tiny trained model that tests share, and its bare network for naive recounts.</summary>
[TestClass]
public static class TrainedModel
{
    internal static MLContext Context { get; } = new(1);

    private static readonly Lazy<LeapLanguageModelTransformer> LazyTransformer = new(
        () => TinyModel.Fit(Context, options => options.GeneratedTextColumnName = "GeneratedText"));

    private static readonly Lazy<LeapModel> LazyNetwork = new(ReadNetwork);

    internal static LeapLanguageModelTransformer Transformer => LazyTransformer.Value;

    internal static LeapModel Network => LazyNetwork.Value;

    [AssemblyCleanup]
    public static void Free()
    {
        if (LazyTransformer.IsValueCreated)
            Transformer.Dispose();
        if (LazyNetwork.IsValueCreated)
            Network.Dispose();
        HostileModel.Free();
    }

    internal static ScoredRowView[] Score(params string[] texts) => TinyModel.Rows(Context, Transformer.Transform(TinyModel.View(Context, texts)));

    /// <summary>The network over one sequence without batches or windows, the softmax in double by the definition.</summary>
    internal static double[][] NaiveLogProbabilities(int[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        float[] logits = Network.forward(tensor(ids.Select(id => (long)id).ToArray(), [1, ids.Length])).data<float>().ToArray();
        return [.. logits.Chunk(Network.Config.VocabularySize).Select(row =>
        {
            double total = Math.Log(row.Sum(value => Math.Exp(value)));
            return row.Select(value => value - total).ToArray();
        })];
    }

    internal static double NaiveLogLikelihood(int[] ids, int scoredFrom)
    {
        double[][] rows = NaiveLogProbabilities(ids[..^1]);
        return Enumerable.Range(scoredFrom, ids.Length - scoredFrom).Sum(i => rows[i - 1][ids[i]]);
    }

    private static LeapModel ReadNetwork() => TinyModel.CopyNetwork(Transformer);
}
