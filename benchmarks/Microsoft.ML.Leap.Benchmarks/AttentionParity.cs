using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Compares one attention layer, without dropout, with a reference's output.</summary>
internal static class AttentionParity
{
    private const double OutputTolerance = 1e-5;

    public static ParityResult Check(ParityFixture fixture)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        double rescale = fixture.Number("rescale_value");
        if (rescale is not (> 0 and <= LeapConfig.MaximumRescaleValue))
            throw new FormatException($"{fixture.Name}.json: 'rescale_value' must be over 0 and at most {LeapConfig.MaximumRescaleValue}.");

        using var noise = new DropoutNoise(seed: 0);
        using var attention = new MultiheadLeap(fixture.Integer("heads"), fixture.Integer("window_size"), rescale, new Dropout(0, noise));
        Tensor projections = cat([.. new[] { "q", "f1", "f2", "v" }.Select(name => Part(fixture, name))], 2);
        Tensor actual = attention.call(projections, null);

        double error = (actual - Part(fixture, "out")).abs().max().item<float>();
        return new ParityResult(("output-error", error, OutputTolerance));
    }

    // [batch, length, heads x head_size]
    private static Tensor Part(ParityFixture fixture, string name)
    {
        long[] shape = fixture.Get("q", -1, -1, (long)fixture.Integer("heads") * fixture.Integer("head_size")).shape;
        return fixture.Get(name, shape).to(ScalarType.Float32);
    }
}
