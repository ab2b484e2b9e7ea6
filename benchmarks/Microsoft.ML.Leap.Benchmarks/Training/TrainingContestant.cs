using System.Diagnostics;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One that trains, a step at a time, on made-up tokens.</summary>
internal sealed class TrainingContestant : IDisposable
{
    public const string Leap = "leap";
    public const string Gpt2 = "gpt2";
    public const string Naive = "naive";

    // Blocks of so many steps, in turn.
    private const int StepsOfBlocks = 8;

    private readonly IDisposable[] _owned;
    private readonly Action<int[]> _step;
    private readonly int _batchSize;
    private int _steps;

    private TrainingContestant(TrainingShape shape, Action<int[]> step, params IDisposable[] owned)
    {
        _batchSize = shape.BatchSize;
        _step = step;
        _owned = owned;
    }

    public static TrainingContestant Create(string name, TrainingShape shape) => name switch
    {
        Leap => OfLibrary(shape, new LeapModel(shape.Config, CPU, 1)),
        Gpt2 => OfLibrary(shape, new Gpt2Model(shape.Config, CPU, 1)),
        Naive => OfNaiveLeap(shape),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, $"name must be {Leap}, {Gpt2} or {Naive}."),
    };

    /// <summary>Takes a step and returns its seconds.</summary>
    public double Step()
    {
        int first = _steps++ % StepsOfBlocks * _batchSize;
        int[] blocks = [.. Enumerable.Range(first, _batchSize)];
        long start = Stopwatch.GetTimestamp();
        _step(blocks);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public void Dispose()
    {
        foreach (IDisposable owned in _owned)
            owned.Dispose();
    }

    // Both networks take the very step that the trainer takes.
    private static TrainingContestant OfLibrary(TrainingShape shape, LanguageModelNetwork model)
    {
        model.train();
        TrainingSettings settings = shape.Settings;
        var step = new TrainingStep(model, shape.Blocks(StepsOfBlocks), settings);
        return new TrainingContestant(shape, blocks => RequireTaken(step.Run(blocks, settings.LearningRate, seed: 1)), step, model);
    }

    private static TrainingContestant OfNaiveLeap(TrainingShape shape)
    {
        var model = new NaiveLeapModel(shape.Config);
        model.train();
        var step = new NaiveLeapStep(model, shape.Blocks(StepsOfBlocks), shape.Settings);
        return new TrainingContestant(shape, blocks => step.Run(blocks), step, model);
    }

    // A step that changes no weight is quicker than one that does.
    private static void RequireTaken(StepResult result)
    {
        if (!result.IsTaken)
            throw new InvalidOperationException($"A step was skipped: loss {result.Loss}, gradient norm {result.GradientNorm}.");
    }
}
