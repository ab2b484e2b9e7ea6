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
    private readonly long _chunkRows;
    private readonly bool _isPlain;

    /// <param name="hidden">What the layer sees, [R, d].</param>
    /// <param name="weight">Its matrix, [V, d].</param>
    /// <param name="bias">Its bias, [V].</param>
    /// <param name="targets">Indices of the right logits, int64 [R].</param>
    /// <param name="targetCount">What the sum is divided by.</param>
    /// <param name="form">How it is computed.</param>
    public LinearCrossEntropyPass(Tensor hidden, Tensor weight, Tensor bias, Tensor targets, double targetCount, LinearCrossEntropyForm form)
    {
        ScalarType type = form.ProductType(weight.dtype);
        _hidden = hidden.detach().to(type);
        _weight = weight.detach().to(type);
        _bias = bias.detach();
        _targets = targets;
        _targetCount = targetCount;
        _chunkRows = form.ChunkRows(weight.shape[0] * _weight.ElementSize);
        _isPlain = form.IsPlain || !RawMemory.HoldsRows(_weight) || _bias.dtype != ScalarType.Float32;
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
            TensorSum.Into(loss, Softmax(logits, _targets.narrow(0, start, count), gradients?.Bias));
            if (gradients is not null)
                AddGradients(hidden, logits, gradients.Hidden.narrow(0, start, count), gradients.Weight);
        }

        using Scalar divisor = _targetCount.ToScalar();
        return loss.div_(divisor).to(ScalarType.Float32);
    }

    private Tensor Softmax(Tensor logits, Tensor targets, Tensor? biasGradient) => _isPlain
        ? SoftmaxCrossEntropy.Plain(logits, _bias, targets, 1 / _targetCount, biasGradient)
        : SoftmaxCrossEntropy.OnCpu(logits, _bias, targets, 1 / _targetCount, biasGradient);

    private void AddGradients(Tensor hidden, Tensor logitsGradient, Tensor hiddenGradient, Tensor weightGradient)
    {
        hiddenGradient.copy_(logitsGradient.mm(_weight));

        // A chunk's part may be of lower precision; the sum of all never is.
        if (weightGradient.dtype == logitsGradient.dtype)
            weightGradient.addmm_(logitsGradient.t(), hidden, 1, 1);
        else
            TensorSum.Into(weightGradient, logitsGradient.t().mm(hidden));
    }
}
