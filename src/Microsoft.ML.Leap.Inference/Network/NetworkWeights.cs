using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>The weights of a network, packed for products. The names are those of the tensors in checkpoints.</summary>
internal sealed unsafe class NetworkWeights : IDisposable
{
    private const string Embedding = "word_embedding.weight";
    private const string OutputBias = "proj_logits.bias";
    private const string PreConvolution = "pre_convolution.weight";
    private const string BoomConvolution = "boom_convolution.weight";
    private const string PositionEmbeddings = "leap_model.position_embeddings.weight";

    private readonly LeapConfig _config;

    /// <param name="config">The network's shape.</param>
    /// <param name="weights">Its tensors by name, row after row.</param>
    /// <param name="format">How matrices are to lie in memory. All else stays as it is.</param>
    /// <param name="packed">Matrices that lie so already, by name, which this object then owns; that of the output has room for a bias.</param>
    /// <exception cref="ArgumentException">A tensor is missing or of another size.</exception>
    public NetworkWeights(
        LeapConfig config, IReadOnlyDictionary<string, float[]> weights, WeightFormat format, IReadOnlyDictionary<string, PackedMatrix>? packed = null)
    {
        _config = config;
        int d = config.HiddenSize;
        var source = new Source(weights, format, packed);
        Output = source.Matrix(Embedding, config.VocabularySize, d, OutputBias);
        if (config.UsePositionEmbeddings)
            Positions = source.Matrix(PositionEmbeddings, config.ContextLength, d);
        Blocks = new Block[config.LayerCount];
        for (int l = 0; l < Blocks.Length; l++)
        {
            string prefix = Prefix(l);
            Blocks[l] = new Block(
                source.Norm(prefix + "pre_norm", d),
                source.Norm(prefix + "boom_norm", d),
                source.Convolution(prefix + PreConvolution, config, 2 * l),
                source.Convolution(prefix + BoomConvolution, config, 2 * l + 1),
                source.Matrix(prefix + "projections.weight", config.ProjectionsSize, d),
                source.Matrix(prefix + "boom.weight", config.FeedForwardSize, d),
                source.Matrix(prefix + "unboom.weight", d, config.FeedForwardSize));
        }

        LastNorm = source.Norm("last_norm", d);
        source.RequireNoOthers();
    }

    /// <summary>Gets the table of word vectors, which is the output layer's matrix too, [V, d], and the output layer's bias.</summary>
    public PackedMatrix Output { get; }

    /// <summary>Gets the table of positions, [N, d]; null where there are none.</summary>
    public PackedMatrix? Positions { get; }

    public Block[] Blocks { get; }

    public LayerNorm LastNorm { get; }

    public long SizeInBytes
    {
        get
        {
            long rows = (4L + 2 * _config.ConvolutionSize) * Blocks.Length + 2;
            return rows * _config.HiddenSize * sizeof(float) + Matrices().Sum(matrix => matrix.Matrix.SizeInBytes);
        }
    }

    /// <summary>Gives the tensors back by name, row after row.</summary>
    public Dictionary<string, float[]> Unpack()
    {
        var weights = new Dictionary<string, float[]>(StringComparer.Ordinal);
        foreach ((string name, PackedMatrix matrix) in Matrices())
        {
            float[] values = new float[(long)matrix.Rows * matrix.Columns];
            matrix.Unpack(values);
            weights.Add(name, values);
        }

        float[] bias = new float[Output.Rows];
        Output.UnpackBias(bias);
        weights.Add(OutputBias, bias);
        AddNorm("last_norm", LastNorm);
        for (int l = 0; l < Blocks.Length; l++)
        {
            AddNorm(Prefix(l) + "pre_norm", Blocks[l].PreNorm);
            AddNorm(Prefix(l) + "boom_norm", Blocks[l].BoomNorm);
            if (Blocks[l].PreConvolution is ShortConvolution pre)
                weights.Add(Prefix(l) + PreConvolution, pre.CopyWeight());
            if (Blocks[l].BoomConvolution is ShortConvolution boom)
                weights.Add(Prefix(l) + BoomConvolution, boom.CopyWeight());
        }

        return weights;

        void AddNorm(string name, LayerNorm norm)
        {
            (float[] weight, float[] normBias) = norm.Copy();
            weights.Add(name + ".weight", weight);
            weights.Add(name + ".bias", normBias);
        }
    }

    public void Dispose()
    {
        foreach (var (_, matrix) in Matrices())
            matrix.Dispose();
    }

    private static string Prefix(int layer) => $"leap_model.decoders.{layer}.";

    private IEnumerable<(string Name, PackedMatrix Matrix)> Matrices()
    {
        yield return (Embedding, Output);
        if (Positions is not null)
            yield return (PositionEmbeddings, Positions);
        for (int l = 0; l < Blocks.Length; l++)
        {
            yield return (Prefix(l) + "projections.weight", Blocks[l].Projections);
            yield return (Prefix(l) + "boom.weight", Blocks[l].Boom);
            yield return (Prefix(l) + "unboom.weight", Blocks[l].Unboom);
        }
    }

    /// <summary>A decoder block's weights.</summary>
    /// <param name="PreNorm">Before the projections, and again before the feed-forward part.</param>
    /// <param name="BoomNorm">Before <paramref name="Boom"/>.</param>
    /// <param name="PreConvolution">Before <paramref name="Projections"/>; null where there are no convolutions.</param>
    /// <param name="BoomConvolution">Before <paramref name="Boom"/>; null where there are no convolutions.</param>
    /// <param name="Projections">[2 d + 2 H r, d].</param>
    /// <param name="Boom">[D, d], with D the width of the feed-forward part.</param>
    /// <param name="Unboom">[d, D].</param>
    internal sealed record Block(
        LayerNorm PreNorm, LayerNorm BoomNorm, ShortConvolution? PreConvolution, ShortConvolution? BoomConvolution, PackedMatrix Projections,
        PackedMatrix Boom, PackedMatrix Unboom);

    /// <summary>A layer norm of vectors of one size.</summary>
    internal sealed class LayerNorm
    {
        // Pinned: they lie where they lie for as long as this object lives.
        private readonly float[] _weight;
        private readonly float[] _bias;

        public LayerNorm(float[] weight, float[] bias)
        {
            _weight = GC.AllocateUninitializedArray<float>(weight.Length, pinned: true);
            _bias = GC.AllocateUninitializedArray<float>(bias.Length, pinned: true);
            weight.CopyTo(_weight, 0);
            bias.CopyTo(_bias, 0);
        }

        /// <summary>Writes the norm of each of <paramref name="rows"/> rows of <paramref name="x"/> to <paramref name="y"/>, which may be the
        /// same.</summary>
        public void Run(float* x, float* y, int rows)
        {
            VectorMath.LayerNorm(x, (float*)Unsafe.AsPointer(ref _weight[0]), (float*)Unsafe.AsPointer(ref _bias[0]), y, rows, _weight.Length);
            GC.KeepAlive(this);
        }

        public (float[] Weight, float[] Bias) Copy() => ([.. _weight], [.. _bias]);
    }

    // Tensors by name, each taken once.
    private sealed class Source(
        IReadOnlyDictionary<string, float[]> weights, WeightFormat format, IReadOnlyDictionary<string, PackedMatrix>? packed)
    {
        private int _taken;

        public PackedMatrix Matrix(string name, int rows, int columns, string? bias = null)
        {
            if (packed is null || !packed.TryGetValue(name, out PackedMatrix? matrix))
                return PackedMatrix.Pack(Take(name, (long)rows * columns), rows, columns, format, bias is null ? [] : Take(bias, rows));
            if (bias is not null)
                matrix.SetBias(Take(bias, rows));
            return matrix;
        }

        public ShortConvolution? Convolution(string name, LeapConfig config, int index) => config.ConvolutionSize == 0
            ? null
            : new ShortConvolution(Take(name, (long)config.ConvolutionSize * config.HiddenSize), config.ConvolutionSize, index);

        public LayerNorm Norm(string name, int size) => new(Take(name + ".weight", size), Take(name + ".bias", size));

        public void RequireNoOthers()
        {
            if (_taken != weights.Count)
            {
                throw new ArgumentException(
                    $"A network of this shape has {_taken} tensors, but {weights.Count} were given.");
            }
        }

        private float[] Take(string name, long size)
        {
            _taken++;
            if (!weights.TryGetValue(name, out float[]? values))
                throw new ArgumentException($"Tensor '{name}' of {size} values is missing.");
            if (values.Length != size)
                throw new ArgumentException($"Tensor '{name}' must have {size} values, but has {values.Length}.");
            return values;
        }
    }
}
