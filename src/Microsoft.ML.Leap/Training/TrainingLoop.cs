using System.Diagnostics;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Trains a network on token blocks with AdamW: shuffled epochs, clipped gradients, a falling learning rate.</summary>
internal sealed class TrainingLoop : IDisposable
{
    private readonly LeapModel _model;
    private readonly TokenBlocks _training;
    private readonly TokenBlocks? _validation;
    private readonly TrainingSettings _settings;
    private readonly AdamW _optimizer;
    private readonly Parameter[] _weights;
    private readonly LinearSchedule _schedule;
    private readonly Random _shuffle;
    private readonly long _stepCount;
    private readonly Stopwatch _elapsed = new();
    private readonly Stopwatch _stepping = new();
    private long _tokens;
    private long _step;

    public TrainingLoop(LeapModel model, TokenBlocks training, TokenBlocks? validation, TrainingSettings settings)
    {
        _model = model;
        _training = training;
        _validation = validation;
        _settings = settings;
        _weights = [.. model.Weights.Select(weight => weight.Weight)];
        _optimizer = MakeOptimizer(model, settings);
        _stepCount = (long)settings.Epochs * ((training.Count + settings.BatchSize - 1) / settings.BatchSize);
        _schedule = new LinearSchedule(settings.LearningRate, _stepCount);
        _shuffle = new Random(settings.Seed);
        model.SeedDropout(settings.Seed);
    }

    /// <summary>Trains to the end, and leaves the network in evaluation mode.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="InvalidOperationException">The loss is no longer a number.</exception>
    public void Run()
    {
        _model.train();
        _elapsed.Start();
        int[] order = [.. Enumerable.Range(0, _training.Count)];
        for (int epoch = 1; epoch <= _settings.Epochs; epoch++)
        {
            _shuffle.Shuffle(order);
            RunEpoch(epoch, order);
        }

        _model.eval();
    }

    public void Dispose()
    {
        _model.zero_grad(set_to_none: true);
        _optimizer.Dispose();
    }

    private void RunEpoch(int epoch, int[] order)
    {
        for (int start = 0; start < order.Length; start += _settings.BatchSize)
        {
            _settings.CancellationToken.ThrowIfCancellationRequested();
            int size = Math.Min(_settings.BatchSize, order.Length - start);
            _stepping.Start();
            TrainingProgress progress = Step(epoch, order.AsSpan(start, size));
            _stepping.Stop();
            if (start + size == order.Length && _validation is not null)
            {
                double loss = LanguageModelLoss.Evaluate(_model, _validation, _settings.BatchSize, _settings.CancellationToken);
                progress = progress with { ValidationLoss = loss, Elapsed = _elapsed.Elapsed };
            }

            _settings.Report?.Invoke(progress);
        }
    }

    private TrainingProgress Step(int epoch, ReadOnlySpan<int> blocks)
    {
        using var scope = NewDisposeScope();
        double rate = _schedule[_step];
        foreach (AdamW.ParamGroup group in _optimizer.ParamGroups.Cast<AdamW.ParamGroup>())
            group.LearningRate = rate;

        (Tensor inputs, Tensor targets, int tokens) = _training.Batch(blocks, _model.Device);
        _optimizer.zero_grad();
        Tensor loss = LanguageModelLoss.Mean(_model, inputs, targets);
        loss.backward();
        double norm = nn.utils.clip_grad_norm_(_weights, _settings.MaximumGradientNorm);
        double value = loss.item<float>();
        if (!double.IsFinite(value) || !double.IsFinite(norm))
        {
            throw new InvalidOperationException(
                $"The training loss is no longer a number at step {_step + 1} (loss {value}, gradient norm {norm}). " +
                "Use a lower LearningRate, or a lower RescaleValue.");
        }

        _optimizer.step();
        _step++;
        _tokens += tokens;
        return Progress(epoch, value, rate, norm);
    }

    private TrainingProgress Progress(int epoch, double loss, double rate, double norm)
    {
        TimeSpan elapsed = _elapsed.Elapsed;
        return new TrainingProgress
        {
            Epoch = epoch,
            EpochCount = _settings.Epochs,
            Step = _step,
            StepCount = _stepCount,
            Loss = loss,
            LearningRate = rate,
            GradientNorm = norm,
            TokensPerSecond = _tokens / _stepping.Elapsed.TotalSeconds,
            Elapsed = elapsed,
            Remaining = elapsed * ((double)(_stepCount - _step) / _step),
        };
    }

    // Weight decay pulls the matrices of the blocks towards zero; norms, biases and embeddings are left alone.
    private static AdamW MakeOptimizer(LeapModel model, TrainingSettings settings)
    {
        bool IsDecayed((string Name, Parameter Weight) entry) => entry.Weight.dim() == 2 && !entry.Name.Contains("embedding", StringComparison.Ordinal);
        Parameter[] decayed = [.. model.Weights.Where(IsDecayed).Select(entry => entry.Weight)];
        Parameter[] others = [.. model.Weights.Where(entry => !IsDecayed(entry)).Select(entry => entry.Weight)];
        return optim.AdamW(
            [new AdamW.ParamGroup(decayed, Options(settings.WeightDecay)), new AdamW.ParamGroup(others, Options(0))],
            settings.LearningRate, settings.Beta1, settings.Beta2);

        AdamW.Options Options(double decay) => new()
        {
            LearningRate = settings.LearningRate,
            InitialLearningRate = settings.LearningRate,
            beta1 = settings.Beta1,
            beta2 = settings.Beta2,
            eps = 1e-8,
            weight_decay = decay,
        };
    }
}
