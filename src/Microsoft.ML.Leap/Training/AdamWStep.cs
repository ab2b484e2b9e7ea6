using System.Numerics;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What one step of AdamW does to a weight, its gradient's moving mean and that of the gradient's square.</summary>
/// <param name="WeightFactor">What weight decay leaves of the weight.</param>
/// <param name="GradientFactor">What clipping leaves of the gradient.</param>
/// <param name="Beta1">What stays of the mean.</param>
/// <param name="Beta2">What stays of the square.</param>
/// <param name="StepSize">The learning rate, corrected for a mean that began at 0.</param>
/// <param name="RootFactor">Corrects the square's root for a square that began at 0.</param>
internal readonly record struct AdamWStep(
    float WeightFactor, float GradientFactor, float Beta1, float Beta2, float StepSize, float RootFactor)
{
    private const float Epsilon = 1e-8f;
    private const int ValuesAPart = 1 << 15;

    /// <summary>Changes the three in place.</summary>
    public void Apply(Tensor weight, Tensor gradient, Tensor mean, Tensor square)
    {
        if (RawMemory.IsReachable(weight) && RawMemory.IsReachable(gradient))
            Fused(weight, gradient, mean, square);
        else
            Plain(weight, gradient, mean, square);
    }

    /// <summary>The step by tensor operations, on any device.</summary>
    public void Plain(Tensor weight, Tensor gradient, Tensor mean, Tensor square)
    {
        using var scope = NewDisposeScope();
        gradient = gradient * GradientFactor;
        mean.mul_(Beta1).add_(gradient, 1 - Beta1);
        square.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        Tensor root = square.sqrt().mul_(RootFactor).add_(Epsilon);
        weight.mul_(WeightFactor).addcdiv_(mean, root, -StepSize);
    }

    /// <summary>The step in one pass through memory, on the CPU.</summary>
    public unsafe void Fused(Tensor weight, Tensor gradient, Tensor mean, Tensor square)
    {
        using var scope = NewDisposeScope();
        AdamWStep step = this;
        float* w = RawMemory.Singles(weight);
        float* g = RawMemory.Singles(gradient.contiguous());
        float* m = RawMemory.Singles(mean);
        float* v = RawMemory.Singles(square);
        CpuWork.ForRanges(weight.numel(), ValuesAPart, (first, count) => step.Fused(w + first, g + first, m + first, v + first, count));
    }

    [MethodImpl(HotLoop.Options)]
    private unsafe void Fused(float* weight, float* gradient, float* mean, float* square, int count)
    {
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> g = Vector.Load(gradient + i) * GradientFactor;
            Vector<float> m = Vector.Load(mean + i) * Beta1 + g * (1 - Beta1);
            Vector<float> v = Vector.Load(square + i) * Beta2 + g * g * (1 - Beta2);
            Vector<float> root = Vector.SquareRoot(v) * RootFactor + new Vector<float>(Epsilon);
            Vector.Store(m, mean + i);
            Vector.Store(v, square + i);
            Vector.Store(Vector.Load(weight + i) * WeightFactor - m / root * StepSize, weight + i);
        }

        for (; i < count; i++)
        {
            float g = gradient[i] * GradientFactor;
            mean[i] = mean[i] * Beta1 + g * (1 - Beta1);
            square[i] = square[i] * Beta2 + g * g * (1 - Beta2);
            weight[i] = weight[i] * WeightFactor - mean[i] / (MathF.Sqrt(square[i]) * RootFactor + Epsilon) * StepSize;
        }
    }
}
