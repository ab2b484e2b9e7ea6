using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>One optimizer step: gradients of all its blocks, clipped, and the change of the weights.</summary>
internal sealed class TrainingStep : IDisposable
{
    private readonly LanguageModelNetwork _model;
    private readonly TokenBlocks _blocks;
    private readonly double _maximumGradientNorm;
    private readonly Parameter[] _weights;

    public TrainingStep(
        LanguageModelNetwork model, TokenBlocks blocks, TrainingOptions options)
    {
        _model = model;
        _blocks = blocks;
        _maximumGradientNorm = options.MaximumGradientNorm;
        model.TrainsInBFloat16 = options.Precision == TrainingPrecision.BFloat16;
        _weights = [.. model.Weights.Select(entry => entry.Weight)];
        Optimizer = new Optimizer(model.Weights, options);
    }

    public Optimizer Optimizer { get; }

    /// <summary>Takes the step, unless its loss or gradient is not finite.</summary>
    /// <param name="batches">The blocks, in the batches that go through the network at once.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="seed">Decides the dropout.</param>
    public StepResult Run(ReadOnlySpan<TokenBlock[]> batches, double learningRate, long seed)
    {
        long total = 0;
        foreach (TokenBlock[] batch in batches)
            total += batch.Sum(block => (long)block.Length);

        _model.SeedDropout(seed);
        _model.zero_grad(set_to_none: true);
        double loss = 0;
        bool packs = _blocks.MayPack && _model.CanPack;
        foreach (TokenBlock[] batch in batches)
        {
            loss += packs
                ? AccumulatePacked(batch, total)
                : _blocks.Parts(batch).Sum(part => Accumulate(part, total));
        }

        double norm = GradientNorm();
        bool isFinite = double.IsFinite(loss) && double.IsFinite(norm);
        if (isFinite)
            Optimizer.Step(learningRate, norm > _maximumGradientNorm ? _maximumGradientNorm / norm : 1);
        NativeGarbage.Collect();
        return new StepResult(loss, norm, total, isFinite);
    }

    public void Dispose()
    {
        _model.zero_grad(set_to_none: true);
        Optimizer.Dispose();
    }

    // Weighted by tokens: parts of unequal length add up to the mean over the whole step.
    private double Accumulate(TokenBlock[] part, long total)
    {
        using var scope = NewDisposeScope();
        (Tensor inputs, Tensor targets, int tokens) = _blocks.Batch(part, _model.Device);
        return Accumulate(inputs, targets, null, (double)tokens / total);
    }

    private double AccumulatePacked(TokenBlock[] part, long total)
    {
        using var scope = NewDisposeScope();
        (Tensor inputs, Tensor targets, PackedDocuments documents) = _blocks.Pack(part);
        return Accumulate(inputs, targets, documents, (double)documents.Starts.Length / total);
    }

    private double Accumulate(Tensor inputs, Tensor targets, PackedDocuments? documents, double weight)
    {
        Tensor loss = LanguageModelLoss.Mean(_model, inputs, targets, documents);
        using Scalar factor = weight.ToScalar();
        loss.mul(factor).backward();
        return loss.item<float>() * weight;
    }

    /// <summary>Returns the Euclidean norm of all gradients.</summary>
    internal double GradientNorm()
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        return stack(_weights.Select(weight => weight.grad).OfType<Tensor>().Select(gradient => gradient.norm())).norm().item<float>();
    }
}

/// <summary>What an optimizer step came to.</summary>
/// <param name="Loss">The mean loss of its tokens before it, in nats.</param>
/// <param name="GradientNorm">The Euclidean norm of the gradient before clipping.</param>
/// <param name="Tokens">The predicted tokens.</param>
/// <param name="IsTaken">Whether the weights were changed: not when the loss or the norm is not finite.</param>
internal readonly record struct StepResult(double Loss, double GradientNorm, long Tokens, bool IsTaken);
