using System.Diagnostics;

namespace Microsoft.ML.Leap;

/// <summary>Trains a network on token blocks: step after step until the run's length is reached, with evaluations in between.</summary>
internal sealed class TrainingLoop : IDisposable
{
    private readonly LanguageModelNetwork _model;
    private readonly TokenBlocks _training;
    private readonly TokenBlocks? _validation;
    private readonly TrainingOptions _options;
    private readonly int _batchSize;
    private readonly int _seed;
    private readonly TrainingStep _stepper;
    private readonly BestWeights _best;
    private readonly TrainingCheckpoints? _checkpoints;
    private readonly TrainingState _state;
    private readonly List<TrainingRecord> _records = [];
    private readonly LearningRatePlan _rates;
    private readonly SkippedStepGuard _guard;
    private readonly EarlyStopping _earlyStopping;
    private readonly Stopwatch _watch = new();
    private readonly TimeForecast _forecast;
    private readonly long _stepsPerEpoch;
    private readonly long _stepCount;
    private long? _pauseAfterSteps;
    private TokenBlock[][] _batches = [];
    private long _batchesEpoch = -1;

    /// <summary>Prepares a run, from its latest checkpoint where it goes on from one.</summary>
    /// <param name="model">The network.</param>
    /// <param name="training">The training texts.</param>
    /// <param name="validation">The validation texts; null for none.</param>
    /// <param name="options">The options, with none left open: <see cref="TrainingRecipe.Fill"/>.</param>
    /// <exception cref="InvalidOperationException">The checkpoint folder belongs to another run.</exception>
    /// <exception cref="FormatException">The checkpoint is corrupt.</exception>
    public TrainingLoop(
        LanguageModelNetwork model, TokenBlocks training, TokenBlocks? validation, TrainingOptions options)
    {
        _model = model;
        _training = training;
        _validation = validation;
        _options = options;
        _batchSize = options.BatchSize!.Value;
        _seed = options.Seed!.Value;
        _checkpoints = options.CheckpointFolder is null
            ? null
            : new TrainingCheckpoints(options, RunFingerprint.Compute(model.Config, training, validation, options));
        _state = ReadState(_checkpoints);
        _stepper = new TrainingStep(model, training, options);
        _best = new BestWeights(model.Weights);
        _stepsPerEpoch = CountStepsOfEpoch(training, options);
        _stepCount = CountSteps(training, options);
        _rates = new LearningRatePlan(options, _stepCount);
        _forecast = new TimeForecast(options, _stepCount, training);
        _guard = new SkippedStepGuard(options, _state);
        _earlyStopping = new EarlyStopping(options, _state);
    }

    /// <summary>Gets or sets what is told of the run.</summary>
    public Action<string>? Inform { get; init; }

    /// <summary>Gets or sets what is told of what may be wrong with it.</summary>
    public Action<string>? Warn { get; init; }

    /// <summary>Gets or sets whether the run is cancelled, beside the options' token.</summary>
    public Func<bool>? IsHostCancelled { get; init; }

    /// <summary>Gets or sets what writes the model's files to a checkpoint, at least the weights; needed with a checkpoint folder.</summary>
    public Action<IModelTarget>? WriteModel { get; init; }

    /// <summary>Gets or sets what makes this network's weights one with those of other workers; null for none.</summary>
    public WeightExchange? Exchange { get; init; }

    /// <summary>Gets a record of each evaluation so far.</summary>
    public IReadOnlyList<TrainingRecord> Records => _records;

    /// <summary>Gets the time of the run so far, evaluations included, and that before the checkpoint it went on from.</summary>
    public TimeSpan Elapsed => _state.Elapsed;

    /// <summary>Gets the training tokens processed per second, without evaluations.</summary>
    public double TokensPerSecond => _state.Tokens / _state.Stepping.TotalSeconds;

    private bool IsOver =>
        _state.Step >= Math.Min(_stepCount, _pauseAfterSteps ?? _stepCount) || _state.IsStoppedEarly ||
        (_options.TimeBudget is TimeSpan budget && _state.Elapsed >= budget);

    private bool IsCancelled => _options.CancellationToken.IsCancellationRequested || IsHostCancelled?.Invoke() == true;

    /// <summary>Counts the optimizer steps of a run.</summary>
    /// <param name="training">The training texts.</param>
    /// <param name="options">The options, with none left open.</param>
    public static long CountSteps(TokenBlocks training, TrainingOptions options) =>
        options.MaximumSteps ?? options.Epochs!.Value * CountStepsOfEpoch(training, options);

    /// <summary>Counts the evaluations of a run: at least the one at its end.</summary>
    /// <param name="training">The training blocks.</param>
    /// <param name="options">The options, filled in.</param>
    public static int CountEvaluations(TokenBlocks training, TrainingOptions options)
    {
        int count = 0;
        long stepsPerEpoch = CountStepsOfEpoch(training, options);
        for (long step = CountSteps(training, options); step > 0; step--)
            count += options.EvaluationInterval.IsDue(step, stepsPerEpoch, TimeSpan.Zero) ? 1 : 0;
        return Math.Max(1, count);
    }

    /// <summary>Trains to the end, and leaves the network in evaluation mode, with the best weights where they are kept.</summary>
    /// <param name="pauseAfterSteps">Steps after which the run ends though its schedule goes on, so that it can be resumed from its checkpoint;
    /// null for none.</param>
    /// <exception cref="OperationCanceledException">The run was cancelled, and is to throw then.</exception>
    /// <exception cref="InvalidOperationException">The loss is no longer a number.</exception>
    public void Run(long? pauseAfterSteps = null)
    {
        _pauseAfterSteps = pauseAfterSteps;
        _model.train();
        if (Exchange is not null)
            _state.Step = _rates.FirstStep = Exchange.Steps.First;
        else if (_state.Step > 0)
        {
            _checkpoints!.ReadRest(_state, _model, _stepper.Optimizer, _best, _records);
            Inform?.Invoke($"The training goes on from the checkpoint of step {_state.Step} of {_stepCount}.");
        }

        _watch.Start();
        try
        {
            bool isOver = IsOver;
            while (!isOver)
                isOver = Advance();
            _guard.RequireSomeTaken();
        }
        catch (OperationCanceledException) when (_options.OnCancel == CancellationBehavior.ReturnBest && IsCancelled && _state.Step > 0)
        {
            string kept = _options.KeepBestModel && _state.BestStep > 0 ? $"the best model so far, that of step {_state.BestStep}," : "the model of that step";
            Warn?.Invoke($"The training was cancelled after step {_state.Step} of {_stepCount}; {kept} is returned.");
        }

        if (_state.IsStoppedEarly)
            Inform?.Invoke($"The validation loss improves no more; the training ends after step {_state.Step} of {_stepCount}.");
        if (_options.KeepBestModel)
            _best.Restore();
        _model.eval();
    }

    public void Dispose()
    {
        _checkpoints?.Dispose();
        _stepper.Dispose();
        _best.Dispose();
    }

    private static long CountStepsOfEpoch(TokenBlocks training, TrainingOptions options) =>
        (training.BatchCount(options.BatchSize!.Value) + options.GradientAccumulation - 1) / options.GradientAccumulation;

    private static TrainingState ReadState(TrainingCheckpoints? checkpoints)
    {
        try
        {
            return checkpoints?.ReadState() ?? new TrainingState();
        }
        catch
        {
            checkpoints?.Dispose();
            throw;
        }
    }

    private void ThrowIfCancelled()
    {
        _options.CancellationToken.ThrowIfCancellationRequested();
        if (IsHostCancelled?.Invoke() == true)
            throw new OperationCanceledException("The MLContext was told to cancel.");
    }

    // Returns whether the run is over, which it is after an evaluation alone: where a checkpoint uses up the time, one more step is taken.
    private bool Advance()
    {
        ThrowIfCancelled();
        TrainingProgress progress = Step();
        if (Exchange?.IsDue(_state.Step) == true)
            CountTime(() => _state.Step = Exchange.Run(_state.Step, _state.Tokens));
        bool isEvaluated = IsOver || _options.EvaluationInterval.IsDue(_state.Step, _stepsPerEpoch, TimeSpan.Zero);
        if (isEvaluated)
            CountTime(() => progress = Evaluate(progress));
        bool isOver = isEvaluated && IsOver;
        bool isBest = _options.KeepBestModel && _state.BestStep == _state.Step;
        if (_checkpoints is not null && (isOver || isBest || _checkpoints.IsDue(_state, _stepsPerEpoch)))
            CountTime(() => _checkpoints.Save(_state, _stepper.Optimizer, _records, WriteModel!));
        _options.Progress?.Invoke(progress with { Elapsed = _state.Elapsed });
        return isOver;
    }

    private void CountTime(Action action)
    {
        TimeSpan before = _watch.Elapsed;
        action();
        _state.Elapsed += _watch.Elapsed - before;
    }

    private TrainingProgress Step()
    {
        TimeSpan before = _watch.Elapsed;
        double rate = _rates[_state.Step, _state.Elapsed];
        StepResult result = _stepper.Run(NextBatches(), rate, RandomSeed.Derive(_seed, _state.Step));
        _state.Step++;
        _state.Elapsed += _watch.Elapsed - before;
        _state.Stepping += _watch.Elapsed - before;
        _state.Tokens += result.Tokens;
        _forecast.Observe(_state.Step, _watch.Elapsed - before, Inform);
        _guard.Count(result, Warn);
        if (result.IsTaken)
        {
            _state.LossSum += result.Loss * result.Tokens;
            _state.LossTokens += result.Tokens;
        }

        return Progress(result, rate);
    }

    private ReadOnlySpan<TokenBlock[]> NextBatches()
    {
        (long epoch, long stepInEpoch) = Math.DivRem(_state.Step, _stepsPerEpoch);
        if (epoch != _batchesEpoch)
            _batches = _training.Shuffle(_seed, epoch, _batchSize);
        _batchesEpoch = epoch;
        int start = (int)(stepInEpoch * _options.GradientAccumulation);
        return _batches.AsSpan(start, Math.Min(_options.GradientAccumulation, _batches.Length - start));
    }

    private TrainingProgress Evaluate(TrainingProgress progress)
    {
        double? loss = _validation is null ? null : Validate(_validation);
        _records.Add(new TrainingRecord
        {
            Epoch = progress.Epoch,
            Step = _state.Step,
            TrainingLoss = _state.LossSum / _state.LossTokens,
            ValidationLoss = loss,
            LearningRate = progress.LearningRate,
            GradientNorm = progress.GradientNorm,
            SkippedSteps = _state.SkippedSteps,
            Tokens = _state.Tokens,
            Elapsed = _state.Elapsed,
        });
        _state.LossSum = 0;
        _state.LossTokens = 0;
        return progress with { ValidationLoss = loss };
    }

    private double Validate(TokenBlocks validation)
    {
        double loss = LanguageModelLoss.Evaluate(_model, validation, _batchSize, ThrowIfCancelled);
        if (double.IsFinite(loss) && !(loss >= _state.BestLoss))
        {
            _state.BestLoss = loss;
            _state.BestStep = _state.Step;
            if (_options.KeepBestModel)
                _best.Keep();
        }

        _earlyStopping.Observe(loss);
        return loss;
    }

    private TrainingProgress Progress(StepResult result, double rate)
    {
        return new TrainingProgress
        {
            Epoch = (int)((_state.Step - 1) / _stepsPerEpoch) + 1,
            EpochCount = (int)((_stepCount + _stepsPerEpoch - 1) / _stepsPerEpoch),
            Step = _state.Step,
            StepCount = _stepCount,
            SkippedSteps = _state.SkippedSteps,
            Loss = result.Loss,
            LearningRate = rate,
            GradientNorm = result.GradientNorm,
            TokensPerSecond = TokensPerSecond,
            Elapsed = _state.Elapsed,
            Remaining = Remaining(),
        };
    }

    // In seconds: the steps of a run that only its time budget ends can take longer than a TimeSpan holds.
    private TimeSpan Remaining()
    {
        double byPace = _state.Elapsed.TotalSeconds * (_stepCount - _state.Step) / _state.Step;
        double left = _options.TimeBudget is TimeSpan budget ? Math.Max(0, (budget - _state.Elapsed).TotalSeconds) : double.PositiveInfinity;
        return TimeSpan.FromSeconds(Math.Min(Math.Min(byPace, left), TimeSpan.MaxValue.TotalSeconds / 2));
    }
}
