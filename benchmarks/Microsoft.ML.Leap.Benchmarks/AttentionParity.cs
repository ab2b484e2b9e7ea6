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
        using var attention = new MultiheadLeap(fixture.Integer("window_size"), rescale, new Dropout(0, noise));
        Tensor actual = attention.call(Heads(fixture, "q"), Heads(fixture, "f1"), Heads(fixture, "f2"), Heads(fixture, "v"), null);

        double error = (actual - Heads(fixture, "out")).abs().max().item<float>();
        return new ParityResult(("output-error", error, OutputTolerance));
    }

    // [batch, length, heads x head_size] as [batch, length, heads, head_size].
    private static Tensor Heads(ParityFixture fixture, string name)
    {
        int heads = fixture.Integer("heads");
        int size = fixture.Integer("head_size");
        long[] shape = fixture.Get("q", -1, -1, (long)heads * size).shape;
        return fixture.Get(name, shape).to(ScalarType.Float32).view(shape[0], shape[1], heads, size);
    }
}
