using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Checks on disposal that live tensors, the global generator, grad mode and default device type are as they were.</summary>
internal sealed class TorchState : IDisposable
{
    private readonly long _tensors;
    private readonly byte[] _generator;
    private readonly bool _gradients;

    private readonly int _weights;

    /// <param name="weights">How many weights are made meanwhile: TorchSharp goes on counting, for ever, the emptied tensor that each
    /// Parameter was made of.</param>
    public TorchState(int weights = 0)
    {
        // What earlier tests left to finalizers would otherwise be counted now and be gone later.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        _weights = weights;
        _generator = GeneratorState();
        _gradients = torch.is_grad_enabled();
        _tensors = torch.Tensor.TotalCount;
    }

    public void Dispose()
    {
        Assert.AreEqual(_tensors + _weights, torch.Tensor.TotalCount, "live tensors");
        Assert.AreEqual(_gradients, torch.is_grad_enabled(), "grad mode");
        CollectionAssert.AreEqual(_generator, GeneratorState(), "global generator");
    }

    private static byte[] GeneratorState()
    {
        using torch.Tensor state = torch.random.get_rng_state();
        return state.data<byte>().ToArray();
    }
}
