using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

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

    /// <param name="config">The network's shape.</param>
    /// <param name="weights">The network's weights by name, in double precision.</param>
    /// <param name="layer">Which block it is.</param>
    public DoubleBlock(LeapConfig config, IReadOnlyDictionary<string, Tensor> weights, int layer)
    {
        _config = config;
        _weights = weights;
        _prefix = $"leap_model.decoders.{layer}.";
        _focusScale = config.RescaleValue / config.HeadSize;
        _gateScale = 1 / Math.Sqrt(config.HeadSize);
        int columns = config.HiddenSize + config.HeadCount;
        int window = config.WindowSizes[layer];
        _sums = window >= config.ContextLength ? new CompensatedRowSums(columns) : new DirectRowSums(window, columns);
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
        Tensor projected = Norm(x, "pre_norm").matmul(Weight("projections.weight").t());
        Tensor[] parts = projected.view(-1, 4, _config.HeadCount, _config.HeadSize).unbind(1);
        Tensor means = FocusedMeans(parts[1], parts[2], parts[3]);
        Tensor gate = sigmoid((parts[0] * means).sum([-1L], keepdim: true).mul(_gateScale));
        x = x.add((gate * means).view(x.shape), One);
        Tensor inner = Norm(Norm(x, "pre_norm"), "boom_norm").matmul(Weight("boom.weight").t());
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
        Means = MeansOf(rows);
        return tensor(Means, values.shape);
    }

    // A row holds the weighted values of all heads, and their weights after them.
    private double[] MeansOf(double[] rows)
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

    private Tensor Weight(string name) => _weights[_prefix + name];

    private Tensor Norm(Tensor x, string name) =>
        nn.functional.layer_norm(x, [_config.HiddenSize], Weight(name + ".weight"), Weight(name + ".bias"), 1e-5);

    private static Tensor HeadNorm(Tensor y) =>
        (y - y.mean([-1L], keepdim: true)) / y.std([-1L], unbiased: true, keepdim: true).add(Epsilon, One);
}
