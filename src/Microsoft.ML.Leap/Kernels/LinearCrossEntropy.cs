using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The output layer and its cross-entropy in one pass, a few rows at a time: the logits of all rows never exist.</summary>
/// <remarks>Where a gradient is wanted it is computed along with the loss, while a chunk's logits are at hand; the backward pass only
/// scales it, and may give the saved gradients away: it is to run once. Loss and gradients are summed in single precision or better, whatever
/// the device and the products. Thread-safe.</remarks>
internal static class LinearCrossEntropy
{
    /// <summary>The target of a row that has none.</summary>
    public const long IgnoredTarget = -100;

    private static readonly LinearCrossEntropyForm DefaultForm = new();

    // Referred to for good: see TensorSum on what becomes of a scalar that is not.
    private static readonly Scalar Ignored = IgnoredTarget.ToScalar();

    /// <summary>Returns the negative log-likelihoods of the targets in nats, summed and divided by <paramref name="targetCount"/>.</summary>
    /// <param name="hidden">What the layer sees, [R, d].</param>
    /// <param name="weight">Its matrix, [V, d].</param>
    /// <param name="bias">Its bias, [V].</param>
    /// <param name="targets">Indices of the right logits, int64 [R]; rows of <see cref="IgnoredTarget"/> cost nothing.</param>
    /// <param name="targetCount">What the sum is divided by, at least 1: the number of targets for their mean.</param>
    /// <param name="form">How it is computed; in the weights' precision when null.</param>
    /// <returns>A scalar that gradients of hidden, weight and bias flow through.</returns>
    public static Tensor Mean(
        Tensor hidden, Tensor weight, Tensor bias, Tensor targets, long targetCount, LinearCrossEntropyForm? form = null)
    {
        form ??= DefaultForm;
        if (is_grad_enabled() && (hidden.requires_grad || weight.requires_grad || bias.requires_grad))
            return Function.apply(hidden, weight, bias, targets, targetCount, form);

        using DisposeScope scope = NewDisposeScope();
        (Tensor rows, Tensor kept, _) = Real(hidden, targets);
        return new LinearCrossEntropyPass(rows, weight, bias, kept, targetCount, form).Run(null).MoveToOuterDisposeScope();
    }

    /// <summary>Tells which targets are not <see cref="IgnoredTarget"/>, bool of the same shape.</summary>
    public static Tensor HasTarget(Tensor targets) => targets.ne(Ignored);

    // The rows that have a target, those targets, and the rows' indices where some have none.
    private static (Tensor Hidden, Tensor Targets, Tensor? Indices) Real(Tensor hidden, Tensor targets)
    {
        Tensor isReal = HasTarget(targets);
        if (isReal.all().item<bool>())
            return (hidden, targets, null);

        Tensor indices = isReal.nonzero().squeeze(1);
        return (hidden.index_select(0, indices), targets.index_select(0, indices), indices);
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        public override string Name => nameof(LinearCrossEntropy);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (hidden, weight, bias, targets) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor)vars[3]);
            using DisposeScope scope = NewDisposeScope();
            (Tensor rows, Tensor kept, Tensor? indices) = Real(hidden, targets);
            var gradients = new LinearGradients(zeros_like(rows), zeros_like(weight), zeros_like(bias));
            var form = (LinearCrossEntropyForm)vars[5];
            var pass = new LinearCrossEntropyPass(rows, weight, bias, kept, (long)vars[4], form);
            Tensor loss = pass.Run(gradients);
            Tensor hiddenGradient = indices is null ? gradients.Hidden : zeros_like(hidden).index_copy_(0, indices, gradients.Hidden);
            ctx.save_for_backward(
                [
                    hiddenGradient.MoveToOuterDisposeScope(),
                    gradients.Weight.MoveToOuterDisposeScope(),
                    gradients.Bias.MoveToOuterDisposeScope(),
                ]);
            return loss.MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();

            // A loss that is not scaled spares a pass over gradients as large as the weights. Elsewhere the host would wait for the device.
            bool isUnscaled = RawMemory.IsReachable(grad_output) && grad_output.item<float>() == 1;
            List<Tensor> gradients = [.. ctx.get_saved_variables().Select(
                gradient => (isUnscaled ? gradient.alias() : gradient * grad_output).MoveToOuterDisposeScope())];
            return [.. gradients, null!, null!, null!];
        }
    }
}
