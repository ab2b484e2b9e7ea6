using BenchmarkDotNet.Attributes;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The windowed sum by tensor operations, for each kind of window: doubled, in blocks, global.</summary>
public class WindowedSumBenchmarks
{
    private Tensor _x = null!;
    private Tensor _gradient = null!;

    [Params(4, 64, 256, 2048)]
    public int Window { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        NativeBackend.EnsureLoaded();
        _x = randn(2, 2048, 4, 32).requires_grad_();
        _gradient = randn(2, 2048, 4, 32);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _x.Dispose();
        _gradient.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        WindowedSum.Of(_x, Window);
    }

    [Benchmark]
    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        autograd.backward([WindowedSum.Of(_x, Window)], [_gradient]);
    }
}
