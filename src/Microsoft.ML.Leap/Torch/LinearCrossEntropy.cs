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

    private static readonly LinearCrossEntropyLayout DefaultForm = new();

    // Referred to for good: see TensorArithmetic on what becomes of a scalar that is not.
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
        Tensor hidden, Tensor weight, Tensor bias, Tensor targets, long targetCount, LinearCrossEntropyLayout? form = null)
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

    // The rows that have a target, those targets, and the rows' indices where some have none. Other devices keep all rows: to ask them which
    // would make the host wait.
    private static (Tensor Hidden, Tensor Targets, Tensor? Indices) Real(Tensor hidden, Tensor targets)
    {
        if (RawMemory.IsHidden || hidden.device_type != DeviceType.CPU)
            return (hidden, targets, null);

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
            var form = (LinearCrossEntropyLayout)vars[5];
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

/// <summary>How <see cref="LinearCrossEntropy"/> computes.</summary>
/// <param name="UsesBFloat16">Whether factors and results of its matrix products are rounded to bfloat16; all sums over them are of single
/// precision or better.</param>
internal sealed record LinearCrossEntropyLayout(bool UsesBFloat16 = false)
{
    // Matrix products are about a tenth slower where their rows are no multiple of it.
    private const long RowTile = 64;

    /// <summary>Gets the bytes of logits held at a time, 96 MB by default: longer matrix products gain little.</summary>
    public long ChunkBytes { get; init; } = 3 << 25;

    /// <summary>Gets whether rows go through tensor operations even where the kernel of the CPU could take them.</summary>
    public bool IsReference { get; init; }

    /// <summary>Gives the rows of a chunk, from the bytes of a row of logits.</summary>
    public long ChunkRows(long rowBytes)
    {
        long rows = Math.Max(1, ChunkBytes / rowBytes);
        return rows < RowTile ? rows : rows / RowTile * RowTile;
    }

    /// <summary>Gives the type of the products of weights of a type.</summary>
    public ScalarType ProductType(ScalarType weightType) => UsesBFloat16 ? ScalarType.BFloat16 : weightType;
}

/// <summary>One pass of <see cref="LinearCrossEntropy"/> over rows, in chunks that share one buffer of logits. On the CPU all of
/// them have a target.</summary>
internal sealed class LinearCrossEntropyPass
{
    private readonly Tensor _hidden;
    private readonly Tensor _weight;
    private readonly Tensor _bias;
    private readonly Tensor _targets;
    private readonly double _targetCount;
    private readonly long _chunkRows;
    private readonly bool _isReference;

    /// <param name="hidden">What the layer sees, [R, d].</param>
    /// <param name="weight">Its matrix, [V, d].</param>
    /// <param name="bias">Its bias, [V].</param>
    /// <param name="targets">Indices of the right logits, int64 [R].</param>
    /// <param name="targetCount">What the sum is divided by.</param>
    /// <param name="form">How it is computed.</param>
    public LinearCrossEntropyPass(Tensor hidden, Tensor weight, Tensor bias, Tensor targets, double targetCount, LinearCrossEntropyLayout form)
    {
        ScalarType type = form.ProductType(weight.dtype);
        _hidden = hidden.detach().to(type);
        _weight = weight.detach().to(type);
        _bias = bias.detach();
        _targets = targets;
        _targetCount = targetCount;
        _chunkRows = form.ChunkRows(weight.shape[0] * _weight.ElementSize);
        _isReference = form.IsReference || !RawMemory.HoldsRows(_weight) || _bias.dtype != ScalarType.Float32;
    }

    /// <summary>Computes the loss, and its gradients where they are given, to be filled.</summary>
    public Tensor Run(LinearGradients? gradients)
    {
        long rowCount = _hidden.shape[0];
        long chunkRows = Math.Min(_chunkRows, rowCount);
        Tensor buffer = empty([chunkRows, _weight.shape[0]], _weight.dtype, _weight.device);
        Tensor loss = zeros([], ScalarType.Float64, _hidden.device);
        for (long start = 0; start < rowCount; start += chunkRows)
        {
            using DisposeScope scope = NewDisposeScope();
            long count = Math.Min(chunkRows, rowCount - start);
            Tensor hidden = _hidden.narrow(0, start, count);
            Tensor logits = buffer.narrow(0, 0, count).addmm_(hidden, _weight.t(), 0, 1);
            loss.Add(Softmax(logits, _targets.narrow(0, start, count), gradients?.Bias));
            if (gradients is not null)
                AddGradients(hidden, logits, gradients.Hidden.narrow(0, start, count), gradients.Weight);
        }

        using Scalar divisor = _targetCount.ToScalar();
        return loss.div_(divisor).to(ScalarType.Float32);
    }

    private Tensor Softmax(Tensor logits, Tensor targets, Tensor? biasGradient) => _isReference
        ? SoftmaxCrossEntropy.Reference(logits, _bias, targets, 1 / _targetCount, biasGradient)
        : SoftmaxCrossEntropy.OnCpu(logits, _bias, targets, 1 / _targetCount, biasGradient);

    private void AddGradients(Tensor hidden, Tensor logitsGradient, Tensor hiddenGradient, Tensor weightGradient)
    {
        hiddenGradient.copy_(logitsGradient.mm(_weight));

        // A chunk's part may be of lower precision; the sum of all never is.
        if (weightGradient.dtype == logitsGradient.dtype)
            weightGradient.addmm_(logitsGradient.t(), hidden, 1, 1);
        else
            weightGradient.Add(logitsGradient.t().mm(hidden));
    }
}

/// <summary>Gradients of a linear layer's input, [R, d], of its matrix, [V, d], and of its bias, [V].</summary>
internal sealed record LinearGradients(Tensor Hidden, Tensor Weight, Tensor Bias);
