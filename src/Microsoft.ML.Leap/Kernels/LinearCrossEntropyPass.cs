using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>One pass of <see cref="LinearCrossEntropy"/> over rows that all have a target, in chunks that share one buffer of logits.</summary>
internal sealed class LinearCrossEntropyPass
{
    private readonly Tensor _hidden;
    private readonly Tensor _weight;
    private readonly Tensor _bias;
    private readonly Tensor _targets;
    private readonly double _targetCount;

    public LinearCrossEntropyPass(Tensor hidden, Tensor weight, Tensor bias, Tensor targets, double targetCount)
    {
        (_hidden, _weight, _bias) = (hidden.detach(), weight.detach(), bias.detach());
        _targets = targets.unsqueeze(1);
        _targetCount = targetCount;
    }

    /// <summary>Computes the loss, and its gradients where they are given, to be filled.</summary>
    public Tensor Run(long chunkSize, LinearGradients? gradients)
    {
        long rowCount = _hidden.shape[0];
        long chunkRows = Math.Clamp(chunkSize / _weight.shape[0], 1, Math.Max(1, rowCount));
        Tensor buffer = empty([chunkRows, _weight.shape[0]], _weight.dtype, _weight.device);
        Tensor loss = zeros([], ScalarType.Float64, _hidden.device);
        for (long start = 0; start < rowCount; start += chunkRows)
        {
            using DisposeScope scope = NewDisposeScope();
            long count = Math.Min(chunkRows, rowCount - start);
            Tensor logits = buffer.narrow(0, 0, count);
            Tensor targets = _targets.narrow(0, start, count);
            Tensor totals = Exponentials(start, logits, targets, loss);
            if (gradients is not null)
                AddGradients(start, logits, targets, totals, gradients);
        }

        return loss.div_(_targetCount).to(ScalarType.Float32);
    }

    // Turns the buffer into exp(logit - largest of the row), adds the rows' losses, and returns the rows' sums, [rows, 1].
    private Tensor Exponentials(long start, Tensor logits, Tensor targets, Tensor loss)
    {
        logits.copy_(_bias).addmm_(_hidden.narrow(0, start, logits.shape[0]), _weight.t(), 1, 1);
        logits.sub_(logits.amax([1], true, null!));
        Tensor chosen = logits.gather(1, targets);
        Tensor totals = logits.exp_().sum(1, keepdim: true);
        loss.add_((totals.log() - chosen).sum(ScalarType.Float64));
        return totals;
    }

    // A logit's gradient is its probability, less 1 at the target. Dividing by the row's total is left to the small matrices.
    private void AddGradients(long start, Tensor exponentials, Tensor targets, Tensor totals, LinearGradients gradients)
    {
        long count = exponentials.shape[0];
        Tensor scales = (totals * _targetCount).reciprocal_();
        exponentials.scatter_add_(1, targets, -totals);
        gradients.Weight.addmm_(exponentials.t(), _hidden.narrow(0, start, count) * scales, 1, 1);
        gradients.Bias.addmv_(exponentials.t(), scales.squeeze(1), 1, 1);
        gradients.Hidden.narrow(0, start, count).addmm_(exponentials, _weight, 0, 1).mul_(scales);
    }
}
