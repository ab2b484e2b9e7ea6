using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>LEAP in double precision over a text that comes piece by piece: what single precision is measured by.</summary>
internal sealed class DoubleNetwork : IDisposable
{
    private readonly LeapConfig _config;
    private readonly Dictionary<string, Tensor> _weights;
    private readonly DoubleBlock[] _blocks;

    /// <param name="model">The network whose weights it takes; without learned positions.</param>
    public DoubleNetwork(LeapModel model)
    {
        _config = model.Config;
        using var noGradients = no_grad();
        _weights = model.Weights.ToDictionary(weight => weight.Name, weight => weight.Weight.to(ScalarType.Float64));
        _blocks = [.. Enumerable.Range(0, _config.LayerCount).Select(layer => new DoubleBlock(_config, _weights, layer))];
    }

    /// <summary>Gets the least focus logit so far.</summary>
    public double LeastFocus => _blocks.Min(block => block.LeastFocus);

    /// <summary>Gets the greatest focus logit so far.</summary>
    public double MostFocus => _blocks.Max(block => block.MostFocus);

    /// <summary>Goes on over the next tokens.</summary>
    /// <returns>What the output layer sees of each, [n, d].</returns>
    public Tensor Read(int[] ids)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor x = _weights["word_embedding.weight"].index_select(0, tensor([.. ids.Select(id => (long)id)]));
        foreach (DoubleBlock block in _blocks)
            x = block.Read(x);
        x = nn.functional.layer_norm(x, [_config.HiddenSize], _weights["last_norm.weight"], _weights["last_norm.bias"], 1e-5);
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>Gives a layer's focused means at a token of the last piece, [d].</summary>
    public ReadOnlySpan<double> Means(int layer, int token) => _blocks[layer].Means.AsSpan(token * _config.HiddenSize, _config.HiddenSize);

    /// <summary>Computes logits, [n, V], from hidden vectors, [n, d].</summary>
    public Tensor Logits(Tensor hidden)
    {
        using var noGradients = no_grad();
        return nn.functional.linear(hidden, _weights["word_embedding.weight"], _weights["proj_logits.bias"]);
    }

    public void Dispose()
    {
        foreach (Tensor weight in _weights.Values)
            weight.Dispose();
    }
}

/// <summary>A block of LEAP in double precision over a text that comes piece by piece, from the equations alone: it shares no code with the
/// library's.</summary>
internal sealed class DoubleBlock
{
    // Operators make a number's scalar on the way, which the garbage collector may free while the native call still reads it: seen within
    // minutes here, where many large arrays come and go. These stay.
    private static readonly Scalar One = 1.0;
    private static readonly Scalar Epsilon = 1e-5;

    private readonly LeapConfig _config;
    private readonly Scalar _focusScale;
    private readonly Scalar _gateScale;
    private readonly IReadOnlyDictionary<string, Tensor> _weights;
    private readonly string _prefix;
    private readonly IRowSums _sums;
    private readonly float[]? _forgetOffsets;
    private readonly double[] _keptSums;
    private readonly DoubleConvolution? _preConvolution;
    private readonly DoubleConvolution? _boomConvolution;

    /// <param name="config">The network's shape.</param>
    /// <param name="weights">The network's weights by name, in double precision.</param>
    /// <param name="layer">Which block it is.</param>
    public DoubleBlock(LeapConfig config, IReadOnlyDictionary<string, Tensor> weights, int layer)
    {
        _config = config;
        _weights = weights;
        _prefix = $"leap_model.decoders.{layer}.";
        _focusScale = config.RescaleValue / config.FocusSize;
        _gateScale = 1 / Math.Sqrt(config.HeadSize);
        int columns = config.HiddenSize + config.HeadCount;
        int window = config.WindowSizes[layer];
        _sums = window >= config.ContextLength ? new CompensatedRowSums(columns) : new DirectRowSums(window, columns);
        _forgetOffsets = config.GetForgetOffsets();
        _keptSums = new double[columns];
        if (config.ConvolutionSize > 0)
        {
            _preConvolution = new DoubleConvolution(Weight("pre_convolution.weight"));
            _boomConvolution = new DoubleConvolution(Weight("boom_convolution.weight"));
        }
    }

    /// <summary>Gets the focused means of the last piece, token by token, [n d].</summary>
    public double[] Means { get; private set; } = [];

    /// <summary>Gets the least focus logit so far.</summary>
    public double LeastFocus { get; private set; } = double.PositiveInfinity;

    /// <summary>Gets the greatest focus logit so far.</summary>
    public double MostFocus { get; private set; } = double.NegativeInfinity;

    /// <summary>Goes on over the next tokens, [n, d].</summary>
    public Tensor Read(Tensor x)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor n = Norm(x, "pre_norm");
        Tensor projected = (_preConvolution?.Read(n) ?? n).matmul(Weight("projections.weight").t());
        int d = _config.HiddenSize;
        int focus = _config.HeadCount * _config.FocusSize;
        Tensor[] parts = [.. projected.split([d, focus, focus, d], 1).Select(part => part.unflatten(1, _config.HeadCount, -1))];
        Tensor means = FocusedMeans(parts[1], parts[2], parts[3]);
        Tensor gate = sigmoid((parts[0] * means).sum([-1L], keepdim: true).mul(_gateScale));
        x = x.add((gate * means).view(x.shape), One);
        n = Norm(Norm(x, "pre_norm"), "boom_norm");
        Tensor inner = (_boomConvolution?.Read(n) ?? n).matmul(Weight("boom.weight").t());
        x = x.add(nn.functional.gelu(inner).matmul(Weight("unboom.weight").t()), One);
        return x.MoveToOuterDisposeScope();
    }

    private Tensor FocusedMeans(Tensor f1, Tensor f2, Tensor values)
    {
        Tensor logits = (HeadNorm(f1) * HeadNorm(f2)).sum([-1L]).mul(_focusScale);
        LeastFocus = Math.Min(LeastFocus, logits.min().item<double>());
        MostFocus = Math.Max(MostFocus, logits.max().item<double>());
        Tensor focus = logits.exp();
        double[] rows = cat([(focus.unsqueeze(-1) * values).view(values.shape[0], -1), focus], 1).contiguous().data<double>().ToArray();
        Means = _forgetOffsets is null ? ComputeMeans(rows) : ComputeMeans(rows, f1.sum([-1L]).contiguous().data<double>().ToArray());
        return tensor(Means, values.shape);
    }

    // A row holds the weighted values of all heads, and their weights after them.
    private double[] ComputeMeans(double[] rows)
    {
        int d = _config.HiddenSize;
        int columns = d + _config.HeadCount;
        double[] sums = new double[columns];
        double[] means = new double[rows.Length / columns * d];
        for (int i = 0; i < means.Length / d; i++)
        {
            _sums.Next(rows.AsSpan(i * columns, columns), sums);
            for (int k = 0; k < d; k++)
                means[i * d + k] = sums[k] / sums[d + k / _config.HeadSize];
        }

        return means;
    }

    // With forget gates there are no windows: sums keep a part of what came before, each head its own.
    private double[] ComputeMeans(double[] rows, double[] forgetSums)
    {
        int d = _config.HiddenSize;
        int heads = _config.HeadCount;
        int columns = d + heads;
        double[] means = new double[rows.Length / columns * d];
        for (int i = 0; i < means.Length / d; i++)
        {
            double[] kept = [.. _forgetOffsets!.Select((offset, head) =>
                1 / (1 + Math.Exp(-LeapConfig.ForgetGain * forgetSums[i * heads + head] / Math.Sqrt(_config.FocusSize) - offset)))];
            for (int k = 0; k < columns; k++)
                _keptSums[k] = kept[k < d ? k / _config.HeadSize : k - d] * _keptSums[k] + rows[i * columns + k];
            for (int k = 0; k < d; k++)
                means[i * d + k] = _keptSums[k] / _keptSums[d + k / _config.HeadSize];
        }

        return means;
    }

    private Tensor Weight(string name) => _weights[_prefix + name];

    private Tensor Norm(Tensor x, string name) =>
        nn.functional.layer_norm(x, [_config.HiddenSize], Weight(name + ".weight"), Weight(name + ".bias"), 1e-5);

    private static Tensor HeadNorm(Tensor y) =>
        (y - y.mean([-1L], keepdim: true)) / y.std([-1L], unbiased: true, keepdim: true).add(Epsilon, One);
}

/// <summary>A depthwise causal convolution over a sequence that comes piece by piece.</summary>
/// <param name="weight">[size, d]; row k is for the token k places back.</param>
internal sealed class DoubleConvolution(Tensor weight)
{
    private readonly int _size = (int)weight.shape[0];
    private readonly int _width = (int)weight.shape[1];
    private readonly double[] _weight = weight.data<double>().ToArray();

    // The last rows, the oldest first; none are zeros.
    private double[] _before = new double[(weight.shape[0] - 1) * weight.shape[1]];

    /// <summary>Goes on over the next tokens, [n, d].</summary>
    public Tensor Read(Tensor n)
    {
        double[] rows = [.. _before, .. n.contiguous().data<double>().ToArray()];
        double[] y = new double[rows.Length - _before.Length];
        for (int i = 0; i < y.Length; i++)
        {
            for (int k = 0; k < _size; k++)
                y[i] += _weight[k * _width + i % _width] * rows[_before.Length + i - k * _width];
        }

        _before = rows[^_before.Length..];
        return tensor(y, n.shape);
    }
}

/// <summary>Sums over the last rows of a sequence that comes row by row.</summary>
internal interface IRowSums
{
    /// <summary>Takes the next row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="sums">The sums of the window that ends with it, one per column.</param>
    void Next(ReadOnlySpan<double> row, Span<double> sums);
}

/// <summary>Sums over a window by their definition: all its rows are added up anew for each.</summary>
internal sealed class DirectRowSums(int window, int columns) : IRowSums
{
    private readonly double[] _rows = new double[window * columns];
    private long _count;

    public void Next(ReadOnlySpan<double> row, Span<double> sums)
    {
        row.CopyTo(_rows.AsSpan((int)(_count % window) * columns, columns));
        _count++;
        sums.Clear();
        for (int i = 0; i < Math.Min(_count, window); i++)
            TensorPrimitives.Add(sums, _rows.AsSpan(i * columns, columns), sums);
    }
}

/// <summary>Sums over all rows so far, with the lost digits summed apart (Neumaier 1974): the error does not grow with the number of
/// rows.</summary>
internal sealed class CompensatedRowSums(int columns) : IRowSums
{
    private readonly double[] _sums = new double[columns];
    private readonly double[] _lost = new double[columns];

    public void Next(ReadOnlySpan<double> row, Span<double> sums)
    {
        for (int k = 0; k < columns; k++)
        {
            double sum = _sums[k] + row[k];
            _lost[k] += Math.Abs(_sums[k]) >= Math.Abs(row[k]) ? _sums[k] - sum + row[k] : row[k] - sum + _sums[k];
            _sums[k] = sum;
            sums[k] = sum + _lost[k];
        }
    }
}
