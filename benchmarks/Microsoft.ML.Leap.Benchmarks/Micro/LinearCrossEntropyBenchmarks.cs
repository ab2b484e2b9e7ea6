using BenchmarkDotNet.Attributes;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The output layer and its loss, 1,024 tokens against a vocabulary of 32,100.</summary>
public class LinearCrossEntropyBenchmarks
{
    private const long Rows = 1024;

    private Tensor _hidden = null!;
    private Tensor _weight = null!;
    private Tensor _bias = null!;
    private Tensor _targets = null!;

    [Params(false, true)]
    public bool BFloat16 { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        NativeBackend.EnsureLoaded();
        _hidden = randn(Rows, 128).requires_grad_();
        _weight = randn(32100, 128).requires_grad_();
        _bias = zeros(32100).requires_grad_();
        _targets = randint(32100, [Rows], ScalarType.Int64);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (Tensor tensor in (Tensor[])[_hidden, _weight, _bias, _targets])
            tensor.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Lose();
    }

    [Benchmark]
    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        Lose().backward();
    }

    private Tensor Lose() =>
        LinearCrossEntropy.Mean(_hidden, _weight, _bias, _targets, Rows, new LinearCrossEntropyForm(UsesBFloat16: BFloat16));
}
