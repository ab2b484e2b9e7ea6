using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Makes initial weights: drawn on the CPU from a generator of its own, so that a seed gives the same on every device.</summary>
internal sealed class WeightInitializer(double standardDeviation, Device device, long seed) : IDisposable
{
    private readonly Generator _generator = new(unchecked((ulong)seed), CPU);

    public Device Device => device;

    public Parameter Normal(params long[] shape)
    {
        using Tensor drawn = empty(shape, ScalarType.Float32, CPU).normal_(0, standardDeviation, _generator);
        return new Parameter(drawn.to(device, copy: true), requires_grad: true);
    }

    public Parameter Zeros(params long[] shape) => new(zeros(shape, ScalarType.Float32, device), requires_grad: true);

    public void Dispose() => _generator.Dispose();
}
