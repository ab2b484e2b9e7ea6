using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One optimizer step of <see cref="NaiveLeapModel"/>: plain automatic differentiation, torch's own clipping and AdamW.</summary>
internal sealed class NaiveLeapStep : IDisposable
{
    private readonly NaiveLeapModel _model;
    private readonly Parameter[] _weights;
    private readonly optim.Optimizer _optimizer;
    private readonly TokenBlocks _blocks;
    private readonly TrainingSettings _settings;

    public NaiveLeapStep(NaiveLeapModel model, TokenBlocks blocks, TrainingSettings settings)
    {
        _model = model;
        _blocks = blocks;
        _settings = settings;
        _weights = [.. model.parameters()];
        _optimizer = optim.AdamW(_weights, settings.LearningRate, settings.Beta1, settings.Beta2, weight_decay: settings.WeightDecay);
    }

    /// <summary>Takes the step and returns its loss.</summary>
    public double Run(TokenBlock[] batch)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets, _) = _blocks.Batch(batch, CPU);
        _optimizer.zero_grad();
        Tensor logits = _model.call(inputs);
        Tensor loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten());
        loss.backward();
        nn.utils.clip_grad_norm_(_weights, _settings.MaximumGradientNorm);
        _optimizer.step();
        return loss.item<float>();
    }

    public void Dispose() => _optimizer.Dispose();
}
