using System.Globalization;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Tells whether a training can fit into the machine's memory before it allocates: afterwards the system may end the process.</summary>
internal static class TrainingMemory
{
    // What no setting avoids: of each weight its value, its gradient and a moment of the optimizer's; of each token and layer, until the
    // backward pass has used them, the inputs of the norms and products.
    private const double BytesPerParameter = 3 * sizeof(float);
    private const double BytesPerActivation = 8 * sizeof(float);

    /// <summary>Refuses a training that certainly needs more memory than there is. One that passes may still need more.</summary>
    /// <param name="config">The network.</param>
    /// <param name="batchSize">Blocks per step.</param>
    /// <param name="corpusTokens">Tokens of the training texts: a step has no more.</param>
    /// <param name="available">The machine's or the container's memory, in bytes.</param>
    /// <exception cref="InvalidOperationException">The memory does not suffice; the message names what asks for it.</exception>
    public static void RequireFits(LeapConfig config, int batchSize, long corpusTokens, long available)
    {
        double weights = CountParameters(config) * BytesPerParameter;
        double tokens = Math.Min((double)batchSize * config.ContextLength, corpusTokens);
        double activations = tokens * config.LayerCount * config.HiddenSize * BytesPerActivation;
        if (weights + activations <= available)
            return;
        string remedy = weights > activations
            ? $"a smaller HiddenSize than {config.HiddenSize}, or a smaller LayerCount than {config.LayerCount}"
            : $"a smaller BatchSize than {batchSize}, or a smaller ContextLength than {config.ContextLength}";
        throw new InvalidOperationException(
            $"The training needs at least {Gigabytes(weights)} GB for its weights and {Gigabytes(activations)} GB for a step of {tokens:0} tokens, and this "
            + $"machine has {Gigabytes(available)} GB of memory. Use {remedy}.");
    }

    /// <summary>Whether an exception says that memory ran out, in .NET, in libtorch or on a GPU.</summary>
    public static bool IsExhausted(Exception exception) => exception is OutOfMemoryException
        || (exception is ExternalException && (exception.Message.Contains("allocate memory", StringComparison.Ordinal)
            || exception.Message.Contains("out of memory", StringComparison.Ordinal)));

    // In floating point: settings may ask for more than a whole number holds.
    private static double CountParameters(LeapConfig config)
    {
        double d = config.HiddenSize;
        return config.LayerCount * (12 * d * d) + (config.VocabularySize + (config.UsePositionEmbeddings ? config.ContextLength : 0.0)) * d;
    }

    private static string Gigabytes(double bytes) => (bytes / 1e9).ToString("0.#", CultureInfo.InvariantCulture);
}
