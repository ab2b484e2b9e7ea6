namespace Microsoft.ML.Leap;

/// <summary>How the vectors of a text's tokens become one.</summary>
public enum EmbeddingPooling
{
    /// <summary>The mean over the text's tokens.</summary>
    Mean,

    /// <summary>The last token's, from which the model predicts what comes next.</summary>
    Last,
}

/// <summary>How a text is turned into a vector. Immutable, and therefore thread-safe.</summary>
public sealed record EmbeddingOptions
{
    private readonly int? _layer;
    private readonly EmbeddingPooling _pooling;

    /// <summary>Gets the decoder block whose output is taken.</summary>
    /// <value>From 0; <see langword="null"/>, the default, for what the output layer sees, after the last block and its norm.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int? Layer
    {
        get => _layer;
        init
        {
            if (value is int layer)
                ArgumentOutOfRangeException.ThrowIfNegative(layer, nameof(Layer));
            _layer = value;
        }
    }

    /// <summary>Gets how the tokens' vectors become one.</summary>
    /// <value><see cref="EmbeddingPooling.Mean"/> by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is none of its names.</exception>
    public EmbeddingPooling Pooling
    {
        get => _pooling;
        init => _pooling = Enum.IsDefined(value)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(Pooling), value, "Pooling must be one of its named values.");
    }
}

/// <summary>Turns rows of token ids into vectors. Thread-safe.</summary>
internal static unsafe class TextEmbedder
{
    private const int ChunkWindows = 64;

    /// <summary>Embeds rows; one without tokens gives NaN.</summary>
    /// <remarks>Long rows are read in the windows of <see cref="ScoringWindow"/>, one token shorter, because the last token is read too; each
    /// token's vector is from the window in which it would be scored.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">The network has no such layer.</exception>
    public static float[][] Embed(LeapNetwork network, IReadOnlyList<IReadOnlyList<int>> rows, int endOfTextId, EmbeddingOptions options)
    {
        LeapConfig config = network.Config;
        if (options.Layer >= config.LayerCount)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Layer, $"Layer must be below the network's number of layers, {config.LayerCount}.");
        }

        double[][] sums = [.. rows.Select(_ => new double[config.HiddenSize])];
        foreach (ScoringWindow[] chunk in ReadingPlan.Of(config, reserved: 1).Cover(rows).Chunk(ChunkWindows))
        {
            void Add(int sequence, int first, int count, float* vectors)
            {
                ScoringWindow window = chunk[sequence];
                double[] sum = sums[window.Row];
                int tokens = rows[window.Row].Count;
                for (int i = 0; i < count; i++)
                {
                    // The token's place in the row; before the window's first comes the one before it, or the start.
                    int t = window.Start + first + i - 1;
                    if (t < window.FirstScored || (options.Pooling == EmbeddingPooling.Last && t != tokens - 1))
                        continue;
                    for (int k = 0; k < sum.Length; k++)
                        sum[k] += vectors[(long)i * sum.Length + k];
                }
            }

            ReadOnlyMemory<int>[] sequences = [.. chunk.Select(window => (ReadOnlyMemory<int>)window.ToBlock(rows[window.Row], endOfTextId).Ids)];
            if (options.Layer is int wanted)
            {
                network.Forward(
                    sequences, null, (_, _, _, _) => { },
                    (layer, sequence, first, count, in values) =>
                    {
                        if (layer == wanted)
                            Add(sequence, first, count, values.Output);
                    });
            }
            else
            {
                network.Forward(sequences, null, Add);
            }
        }

        return [.. sums.Select((sum, row) => Divide(sum, options.Pooling == EmbeddingPooling.Mean ? rows[row].Count : Math.Min(1, rows[row].Count)))];
    }

    private static float[] Divide(double[] sum, int count) => Array.ConvertAll(sum, value => (float)(value / count));
}
