using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The cross-entropy of rows of logits, whose memory then holds the logits' gradients.</summary>
internal static class SoftmaxCrossEntropy
{
    private static readonly Scalar Zero = 0.ToScalar();

    /// <summary>Returns the sum of the rows' losses in nats, a scalar of double precision.</summary>
    /// <param name="logits">Logits without their bias, [R, V]; overwritten.</param>
    /// <param name="bias">The bias, [V].</param>
    /// <param name="targets">The index of the right logit of each row, int64 [R]; negative for a row that counts for nothing, which the
    /// CPU's kernel does not take.</param>
    /// <param name="scale">What the gradients are multiplied by.</param>
    /// <param name="biasGradient">The bias's gradient is added to it, [V]; null where no gradients are wanted.</param>
    public static Tensor Reference(Tensor logits, Tensor bias, Tensor targets, double scale, Tensor? biasGradient)
    {
        // Which rows count is never asked on the host, which would have to wait for the device.
        Tensor x = logits.Plus(bias);
        Tensor index = targets.clamp_min(Zero).unsqueeze(1);
        Tensor factors = ones_like(targets, x.dtype).masked_fill_(targets.lt(Zero), Zero);
        Tensor loss = (x.logsumexp(1) - x.gather(1, index).squeeze(1)).mul_(factors).sum(ScalarType.Float64);
        if (biasGradient is null)
            return loss;

        // A logit's gradient is its probability, less 1 at the target.
        Tensor gradients = x.softmax(1).scatter_add_(1, index, ones_like(index, x.dtype).neg_());
        gradients.mul_(factors.Multiply(scale).unsqueeze(1));
        biasGradient.Add(gradients.sum([0L]));
        logits.copy_(gradients);
        return loss;
    }

    /// <inheritdoc cref="Reference"/>
    public static unsafe Tensor OnCpu(Tensor logits, Tensor bias, Tensor targets, double scale, Tensor? biasGradient)
    {
        ISoftmaxCrossEntropyKernel kernel = Kernel(logits, bias, targets);
        double loss = biasGradient is null ? kernel.Loss() : kernel.LossAndGradients((float)scale, RawMemory.Singles(biasGradient));
        return tensor(loss, ScalarType.Float64);
    }

    /// <summary>Returns the loss of each row in nats, [R].</summary>
    /// <param name="logits">Logits without their bias, [R, V].</param>
    /// <param name="bias">The bias, [V].</param>
    /// <param name="targets">The index of the right logit of each row, int64 [R].</param>
    public static double[] RowLosses(Tensor logits, Tensor bias, Tensor targets)
    {
        if (RawMemory.IsReachable(logits))
            return RowLossesOnCpu(logits, bias, targets);

        using DisposeScope scope = NewDisposeScope();
        Tensor x = logits.Plus(bias);
        return (x.logsumexp(1) - x.gather(1, targets.unsqueeze(1)).squeeze(1)).to(ScalarType.Float64).cpu().data<double>().ToArray();
    }

    private static unsafe double[] RowLossesOnCpu(Tensor logits, Tensor bias, Tensor targets)
    {
        double[] losses = new double[logits.shape[0]];
        fixed (double* first = losses)
            Kernel(logits, bias, targets).RowLosses(first);
        return losses;
    }

    private static ISoftmaxCrossEntropyKernel Kernel(Tensor logits, Tensor bias, Tensor targets) => Vector512.IsHardwareAccelerated
        ? Kernel<SimdVector512>(logits, bias, targets)
        : Kernel<SimdVector256>(logits, bias, targets);

    /// <summary>Makes the kernel with vectors of a width.</summary>
    internal static unsafe ISoftmaxCrossEntropyKernel Kernel<TVector>(Tensor logits, Tensor bias, Tensor targets)
        where TVector : struct, ISimdVector<TVector>
    {
        long rows = logits.shape[0];
        int size = (int)logits.shape[1];
        float* b = RawMemory.Singles(bias);
        long* t = RawMemory.Integers(targets);
        return logits.dtype == ScalarType.BFloat16
            ? new SoftmaxCrossEntropyKernel<ushort, BFloat16Row, TVector>(RawMemory.BFloat16s(logits), b, t, rows, size)
            : new SoftmaxCrossEntropyKernel<float, Float32Row, TVector>(RawMemory.Singles(logits), b, t, rows, size);
    }
}

/// <summary>Cross-entropy of rows of logits on the CPU, whatever their storage and the processor's vectors.</summary>
internal unsafe interface ISoftmaxCrossEntropyKernel
{
    /// <summary>Writes the loss of each row in nats, [rows], and leaves the logits as they are.</summary>
    void RowLosses(double* losses);

    /// <summary>Returns the sum of the rows' losses in nats, and leaves the logits as they are.</summary>
    double Loss();

    /// <summary>Returns the sum of the rows' losses in nats, writes the gradients, times <paramref name="scale"/>, over the logits, and
    /// adds them to <paramref name="biasGradient"/>, [size].</summary>
    double LossAndGradients(float scale, float* biasGradient);
}
