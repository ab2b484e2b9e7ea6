using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One decoder block of <see cref="NaiveLeapModel"/>.</summary>
internal sealed class NaiveLeapBlock : nn.Module<Tensor, Tensor>
{
    private const double Epsilon = 1e-5;

    private readonly long _headCount;
    private readonly int _window;
    private readonly double _rescale;
    private readonly LayerNorm pre_norm;
    private readonly LayerNorm boom_norm;
    private readonly TorchSharp.Modules.Linear projections;
    private readonly TorchSharp.Modules.Linear boom;
    private readonly TorchSharp.Modules.Linear unboom;
    private readonly TorchSharp.Modules.Dropout dropout;

    public NaiveLeapBlock(LeapConfig config, int window)
        : base(nameof(NaiveLeapBlock))
    {
        long d = config.HiddenSize;
        _headCount = config.HeadCount;
        _window = window;
        _rescale = config.RescaleValue;
        pre_norm = nn.LayerNorm(d);
        boom_norm = nn.LayerNorm(d);
        projections = nn.Linear(d, 4 * d, hasBias: false);
        boom = nn.Linear(d, 4 * d, hasBias: false);
        unboom = nn.Linear(4 * d, d, hasBias: false);
        dropout = nn.Dropout(config.Dropout);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = x + Attend(pre_norm.call(x));
        return x + dropout.call(unboom.call(nn.functional.gelu(boom.call(boom_norm.call(pre_norm.call(x))))));
    }

    private Tensor Attend(Tensor n)
    {
        Tensor[] parts = [.. projections.call(n).chunk(4, -1).Select(part => part.reshape(n.shape[0], n.shape[1], _headCount, -1))];
        var (Q, F1, F2, U) = (parts[0], parts[1], parts[2], parts[3]);
        double e = Q.shape[3];
        Tensor s = (dropout.call(Norm(F1)) * Norm(F2)).sum(-1) * (_rescale / e);
        Tensor f = s.exp().unsqueeze(-1);
        Tensor M = dropout.call(WindowedSum(f * U) / (WindowedSum(f) + Epsilon));
        Tensor a = ((Q * M).sum(-1) / Math.Sqrt(e)).sigmoid();
        return (a.unsqueeze(-1) * M).reshape(n.shape);
    }

    private static Tensor Norm(Tensor y) => (y - y.mean([-1], keepdim: true)) / (y.std(-1, unbiased: true, keepdim: true) + Epsilon);

    // The running sum less itself as it was a window ago.
    private Tensor WindowedSum(Tensor x)
    {
        Tensor sums = x.cumsum(1);
        long length = x.shape[1];
        if (_window >= length)
            return sums;
        Tensor none = zeros([x.shape[0], _window, .. x.shape[2..]], x.dtype, x.device);
        return sums - cat([none, sums.narrow(1, 0, length - _window)], 1);
    }
}
