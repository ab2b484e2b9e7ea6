using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Takes the parts of a LEAP training step one by one, on tensors of the step's own shapes and with its own modules.</summary>
internal sealed class TrainingParts : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TrainingShape _shape;
    private readonly LeapModel _model;
    private readonly TrainingStep _step;
    private readonly DropoutNoise _noise = new(1);
    private readonly MultiheadLeap[] _attentions;
    private readonly Linear[] _widening;
    private readonly Linear _narrowing;
    private readonly Tensor _narrow;
    private readonly Tensor _wide;
    private readonly Tensor _narrowGradient;
    private readonly Tensor _wideGradient;
    private readonly Tensor _targets;

    public TrainingParts(TrainingShape shape)
    {
        _shape = shape;
        LeapConfig config = shape.Config;
        _model = new LeapModel(config, CPU, 1);
        _model.train();
        TokenBlocks blocks = shape.Blocks(1);
        _step = new TrainingStep(_model, blocks, shape.Settings);

        _attentions = [.. config.WindowSizes.Select(
            window => new MultiheadLeap(config.HeadCount, window, config.RescaleValue, new Dropout(config.Dropout, _noise)))];
        using var initializer = new WeightInitializer(config.InitializerRange, CPU, 1);
        long d = config.HiddenSize;
        _widening = [.. Enumerable.Range(0, 2).Select(_ => new Linear(d, 4 * d, initializer) { TrainsInBFloat16 = shape.UsesBFloat16 })];
        _narrowing = new Linear(4 * d, d, initializer) { TrainsInBFloat16 = shape.UsesBFloat16 };

        long[] tokens = [shape.BatchSize, shape.ContextLength];
        _narrow = randn([.. tokens, d]).requires_grad_();
        _wide = randn([.. tokens, 4 * d]).requires_grad_();
        _narrowGradient = randn([.. tokens, d]);
        _wideGradient = randn([.. tokens, 4 * d]);
        _targets = randint(config.VocabularySize, [shape.TokensAStep], ScalarType.Int64);

        // Leaves gradients for the optimizer.
        _step.Run([.. blocks.InBatches(shape.BatchSize)], shape.Settings.LearningRate, seed: 1);
    }

    public PartTimes Measure() => new(
        Seconds(() => Array.ForEach(_attentions, Attend)),
        Seconds(() => Repeat(_shape.LayerCount, MultiplyInBlock)),
        Seconds(LoseInHead),
        Seconds(Optimize));

    public void Dispose()
    {
        foreach (IDisposable module in (IDisposable[])[.. _attentions, .. _widening, _narrowing])
            module.Dispose();
        _step.Dispose();
        _model.Dispose();
        _noise.Dispose();
        _scope.Dispose();
    }

    private void Attend(MultiheadLeap attention) => Backward(attention.call(_wide, null), _narrowGradient);

    private void MultiplyInBlock()
    {
        Backward(_widening[0].call(_narrow), _wideGradient);
        Backward(_narrowing.Product(Gelu.Of(_widening[1].Product(_narrow))).to(ScalarType.Float32), _narrowGradient);
    }

    private void LoseInHead()
    {
        var form = new LinearCrossEntropyForm(UsesBFloat16: _shape.UsesBFloat16);
        LinearCrossEntropy.Mean(_narrow.flatten(0, 1), _model.HeadWeight, _model.HeadBias, _targets, _shape.TokensAStep, form).backward();
    }

    private void Optimize()
    {
        double largest = _shape.Settings.MaximumGradientNorm;
        _step.Optimizer.Step(_shape.Settings.LearningRate, Math.Min(1, largest / _step.GradientNorm()));
    }

    private static void Repeat(int count, Action part)
    {
        for (int i = 0; i < count; i++)
            part();
    }

    private static void Backward(Tensor result, Tensor gradient) => autograd.backward([result], [gradient]);

    private static double Seconds(Action part)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        part();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
