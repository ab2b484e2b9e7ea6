using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One layer's LEAP attention in training, dropout included, for each kind of window.</summary>
[SuppressMessage("Design", "CA1001", Justification = "BenchmarkDotNet calls the cleanup.")]
public class AttentionBenchmarks
{
    private DropoutNoise _noise = null!;
    private MultiheadLeap _attention = null!;
    private Tensor _projected = null!;
    private Tensor _gradient = null!;

    [Params(4, 64, 256, 2048)]
    public int Window { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        NativeBackend.EnsureLoaded();
        _noise = new DropoutNoise(1);
        _attention = new MultiheadLeap(4, Window, rescale: 8, new Dropout(0.1, _noise));
        _projected = randn(2, 2048, 4 * 128).requires_grad_();
        _gradient = randn(2, 2048, 128);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _attention.Dispose();
        _projected.Dispose();
        _gradient.Dispose();
        _noise.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Attend();
    }

    [Benchmark]
    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        autograd.backward([Attend()], [_gradient]);
    }

    private Tensor Attend() => _attention.call(_projected, null);
}
