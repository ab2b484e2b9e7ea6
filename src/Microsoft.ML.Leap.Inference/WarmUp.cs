using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace Microsoft.ML.Leap;

/// <summary>Scores a text with a small network of zeros while a process reads its first model. By then the kernels are compiled, which the
/// first score would otherwise wait for.</summary>
internal static class WarmUp
{
    // A layer of little width, and a vocabulary that the output layer shares out among threads.
    private const int HeadSize = 32;
    private const int VocabularySize = 2048;
    private const int TokenCount = 35;

    private static int _isStarted;

    /// <summary>Begins, on another thread; in a process once. Does nothing where no other thread would be free for it, or where nothing is
    /// compiled at run time.</summary>
    /// <param name="options">How the model is to be held and computed.</param>
    public static void Start(LeapLanguageModelOptions? options)
    {
        if (!SpareThread.Exists || options?.ThreadCount == 1 || !RuntimeFeature.IsDynamicCodeCompiled)
            return;
        if (Interlocked.Exchange(ref _isStarted, 1) == 0)
        {
            // On a thread of its own: the pool has only so many at the start, and the model's files take those.
            Task.Factory.StartNew(
                () => Score(options?.WeightFormat ?? WeightFormat.Float32), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
    }

    // Kernels depend on the format and on the size of heads: that of the defaults. Windows are not theirs.
    private static void Score(WeightFormat format)
    {
        // Brings in the system's cryptography, which checks the model's files.
        SHA256.HashData([]);

        var config = new LeapConfig(
            VocabularySize, HeadSize, layerCount: 1, headCount: 1, usePositionEmbeddings: false, convolutionSize: 4, useForgetGates: true, focusSize: 8);
        var zeros = new Dictionary<string, float[]>(StringComparer.Ordinal);
        foreach ((string name, long[] shape) in Checkpoint.GetExpectedShapes(config))
            zeros.Add(name, new float[shape.Length == 1 ? shape[0] : shape[0] * shape[1]]);
        using var network = new LeapNetwork(config, zeros, format);
        new TextScorer((blocks, _, memory) => BlockLosses.Compute(network, blocks, memory), memory: null, network.Workers, ReadingPlan.Of(config), endOfTextId: 0).Score([new int[TokenCount]]);
    }
}
