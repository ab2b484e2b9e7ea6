using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>Scores a text with a small network of zeros while a process reads its first model. By then the kernels are compiled, which the
/// first score would otherwise wait for: about a quarter of the time from a process's start to it.</summary>
internal static class WarmUp
{
    // Enough that the output layer shares its work out.
    private const int VocabularySize = 2048;
    private const int TokenCount = 11;

    private static int _isStarted;

    /// <summary>Begins, on another thread; in a process once. Does nothing where no other thread would be free for it, or where nothing is
    /// compiled at run time.</summary>
    /// <param name="options">How the model is to be held and computed.</param>
    public static void Start(LeapLanguageModelOptions? options)
    {
        if (Environment.ProcessorCount == 1 || OperatingSystem.IsBrowser() || options?.ThreadCount == 1 || !RuntimeFeature.IsDynamicCodeCompiled)
            return;
        if (Interlocked.Exchange(ref _isStarted, 1) == 0)
            Task.Run(() => Score(options?.WeightFormat ?? WeightFormat.Float32));
    }

    // Kernels depend on the format and on the size of heads: that of the defaults. A windowed and a global layer sum differently.
    private static void Score(WeightFormat format)
    {
        var config = new LeapConfig(VocabularySize, layerCount: 2, usePositionEmbeddings: false, convolutionSize: 4);
        Dictionary<string, float[]> zeros = Checkpoint.GetExpectedShapes(config).ToDictionary(
            shape => shape.Key, shape => new float[shape.Value.Aggregate(1L, (product, size) => product * size)], StringComparer.Ordinal);
        using var network = new LeapNetwork(config, zeros, format);
        new TextScorer((blocks, _) => BlockPredictions.Compute(network, blocks), memory: null, config.ContextLength, endOfTextId: 0).Score([new int[TokenCount]]);
    }
}
