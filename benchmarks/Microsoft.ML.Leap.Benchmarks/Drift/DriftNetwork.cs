using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Makes the network of the drift benchmark: without learned positions, and with weights whose focus spreads widely.</summary>
internal static class DriftNetwork
{
    private const int Context = 2048;
    private const int LongestWindow = 1000;

    public static LeapModel Create(int layerCount, int hiddenSize, int headCount, int vocabularySize, int seed)
    {
        var config = new LeapConfig(
            vocabularySize,
            hiddenSize,
            Context,
            layerCount,
            headCount,
            windowSizes: [.. Enumerable.Range(0, layerCount).Select(layer => layer == layerCount - 1 ? Context : Window(layer))],
            initializerRange: 1 / Math.Sqrt(hiddenSize),
            usePositionEmbeddings: false);
        var model = new LeapModel(config, CPU, seed);
        model.eval();
        Spread(model, seed);
        return model;
    }

    // 3, 24, 192 and so on: no powers of two, so that blocks begin at all kinds of steps.
    private static int Window(int layer) => (int)Math.Min(LongestWindow, 3 * Math.Pow(8, layer));

    private static void Spread(LeapModel model, int seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Normal(double deviation, params long[] shape) => empty(shape).normal_(0, deviation, generator);
        foreach (var (name, weight) in model.Weights)
        {
            if (weight.dim() == 1)
                weight.add_(Normal(0.1, weight.shape));
            if (name.EndsWith("projections.weight", StringComparison.Ordinal))
                AlignFocus(weight, model.Config, Normal);
        }
    }

    // A focus logit is the correlation of two vectors, times 8; those of independent weights hardly correlate. Here both lean along one
    // direction of the head, each by its own projection of the token: their logits cover most of -8 to 8.
    private static void AlignFocus(Tensor projections, LeapConfig config, Func<double, long[], Tensor> normal)
    {
        double deviation = 1 / Math.Sqrt(config.HiddenSize);
        Tensor parts = projections.view(4, config.HeadCount, config.HeadSize, config.HiddenSize);
        Tensor direction = normal(1, [1, config.HeadCount, config.HeadSize, 1]);
        parts.narrow(0, 1, 2).add_(direction * normal(deviation, [2, config.HeadCount, 1, config.HiddenSize]));
    }
}
