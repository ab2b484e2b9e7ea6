using System.Diagnostics;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One that trains, a step at a time, on made-up tokens.</summary>
internal sealed class TrainingContestant : IDisposable
{
    public const string Leap = "leap";
    public const string Gpt2 = "gpt2";
    public const string Naive = "naive";

    // Steps whose batches take turns.
    private const int StepsOfBlocks = 8;

    private readonly IDisposable[] _owned;
    private readonly Action<TokenBlock[]> _step;
    private readonly TokenBlock[][] _batches;
    private int _steps;

    private TrainingContestant(TokenBlocks blocks, TrainingShape shape, Action<TokenBlock[]> step, params IDisposable[] owned)
    {
        _batches = [.. blocks.InBatches(shape.BatchSize)];
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
        TokenBlock[] batch = _batches[_steps++ % _batches.Length];
        long start = Stopwatch.GetTimestamp();
        _step(batch);
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
        TokenBlocks blocks = shape.Blocks(StepsOfBlocks);
        var step = new TrainingStep(model, blocks, settings);
        return new TrainingContestant(blocks, shape, batch => RequireTaken(step.Run([batch], settings.LearningRate, seed: 1)), step, model);
    }

    private static TrainingContestant OfNaiveLeap(TrainingShape shape)
    {
        var model = new NaiveLeapModel(shape.Config);
        model.train();
        TokenBlocks blocks = shape.Blocks(StepsOfBlocks);
        var step = new NaiveLeapStep(model, blocks, shape.Settings);
        return new TrainingContestant(blocks, shape, batch => step.Run(batch), step, model);
    }

    // A step that changes no weight is quicker than one that does.
    private static void RequireTaken(StepResult result)
    {
        if (!result.IsTaken)
            throw new InvalidOperationException($"A step was skipped: loss {result.Loss}, gradient norm {result.GradientNorm}.");
    }
}
