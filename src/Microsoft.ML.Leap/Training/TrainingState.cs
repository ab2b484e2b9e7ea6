using System.Globalization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Where a run stands, beside weights and moments. All random numbers follow from the seed and the step.</summary>
internal sealed class TrainingState
{
    /// <summary>Steps done, skipped ones included.</summary>
    public long Step { get; set; }

    public long SkippedSteps { get; set; }
    public int SkippedInARow { get; set; }

    /// <summary>Tokens trained on, in the time of <see cref="Stepping"/>, which leaves evaluations out.</summary>
    public long Tokens { get; set; }

    public TimeSpan Stepping { get; set; }
    public TimeSpan Elapsed { get; set; }

    /// <summary>The sum of the loss over the tokens trained on since the last evaluation, and their number.</summary>
    public double LossSum { get; set; }

    public long LossTokens { get; set; }

    public double? BestLoss { get; set; }
    public long? BestStep { get; set; }

    /// <summary>The loss that early stopping wants beaten, and the evaluations since that have not.</summary>
    public double? ReferenceLoss { get; set; }

    public int EvaluationsWithoutImprovement { get; set; }

    public bool IsStoppedEarly { get; set; }

    /// <summary>Finds a number that no run can have come to, in a state that was read.</summary>
    /// <returns>Its name and value; <see langword="null"/> for none.</returns>
    public string? FindFault()
    {
        // Over a thousand years: times are added up.
        const double MostDays = 400_000;
        (string Name, object Value, bool IsPossible)[] numbers =
        [
            (nameof(Step), Step, Step >= 0),
            (nameof(SkippedSteps), SkippedSteps, SkippedSteps >= 0 && SkippedSteps <= Step),
            (nameof(SkippedInARow), SkippedInARow, SkippedInARow >= 0 && SkippedInARow <= SkippedSteps),
            (nameof(Tokens), Tokens, Tokens >= 0),
            (nameof(Stepping), Stepping, Stepping >= TimeSpan.Zero && Stepping.TotalDays <= MostDays),
            (nameof(Elapsed), Elapsed, Elapsed >= TimeSpan.Zero && Elapsed.TotalDays <= MostDays),
            (nameof(LossTokens), LossTokens, LossTokens >= 0),
            (nameof(EvaluationsWithoutImprovement), EvaluationsWithoutImprovement, EvaluationsWithoutImprovement >= 0),
        ];
        (string name, object value, bool isPossible) = numbers.FirstOrDefault(number => !number.IsPossible, ("", "", true));
        return isPossible ? null : string.Create(CultureInfo.InvariantCulture, $"{name} is {value}");
    }
}

/// <summary>Seeds of a run's parts, made of its one seed: what an epoch or a step draws depends on its number alone, not on what was
/// drawn before, so that a resumed run draws the same.</summary>
internal static class RandomSeed
{
    /// <summary>Mixes two numbers (SplitMix64's finaliser), so that neighbours give unrelated seeds.</summary>
    public static long Derive(int seed, long number)
    {
        ulong z = unchecked(((ulong)(uint)seed << 32) + (ulong)number + 0x9E3779B97F4A7C15);
        z = unchecked((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9);
        z = unchecked((z ^ (z >> 27)) * 0x94D049BB133111EB);
        return unchecked((long)(z ^ (z >> 31)));
    }

    /// <summary>The order of an epoch's blocks.</summary>
    public static int[] Order(int seed, long epoch, int count)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        new Random(unchecked((int)Derive(seed, -epoch))).Shuffle(order);
        return order;
    }
}

/// <summary>Ends a run whose validation loss improves no more.</summary>
internal sealed class EarlyStopping(TrainingOptions options, TrainingState state)
{
    /// <summary>Takes note of a validation loss.</summary>
    public void Observe(double loss)
    {
        if (options.EarlyStoppingPatience is not int patience)
            return;
        if (double.IsFinite(loss) && (state.ReferenceLoss is not double reference || loss < reference - options.EarlyStoppingImprovement))
        {
            state.ReferenceLoss = loss;
            state.EvaluationsWithoutImprovement = 0;
            return;
        }

        state.EvaluationsWithoutImprovement++;
        state.IsStoppedEarly = state.EvaluationsWithoutImprovement >= patience;
    }
}

/// <summary>Counts and reports steps that were skipped because their loss or gradient is not finite, and stops a run that takes
/// none any more.</summary>
internal sealed class SkippedStepGuard(TrainingOptions options, TrainingState state)
{
    public void Count(StepResult result, Action<string>? warn)
    {
        if (result.IsTaken)
        {
            state.SkippedInARow = 0;
            return;
        }

        state.SkippedSteps++;
        state.SkippedInARow++;
        warn?.Invoke($"Step {state.Step} is skipped: its loss is {result.Loss}, its gradient norm {result.GradientNorm}.");
        if (state.SkippedInARow >= options.MaximumSkippedSteps)
            throw Failure($"{state.SkippedInARow} steps in a row, up to step {state.Step}");
    }

    /// <summary>At the end of a run.</summary>
    public void RequireSomeTaken()
    {
        if (state.Step > 0 && state.SkippedSteps == state.Step)
            throw Failure($"all {state.Step} steps");
    }

    private static InvalidOperationException Failure(string steps) => new(
        $"The training loss or its gradient is not a finite number in {steps}; the weights were not changed by them. " +
        "Use a lower LearningRate, or a lower RescaleValue.");
}

/// <summary>A copy of a network's weights, taken where the validation loss was least.</summary>
internal sealed class BestWeights(IReadOnlyList<(string Name, Parameter Weight)> weights) : IDisposable
{
    private Dictionary<string, Tensor>? _kept;

    /// <summary>Gets the copy by name, to be written in place; made at the first use.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _kept ??= Copy();

    public void Keep()
    {
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter weight) in weights)
            Tensors[name].copy_(weight);
    }

    /// <summary>Puts the copy back, if there is one.</summary>
    public void Restore()
    {
        if (_kept is null)
            return;
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter weight) in weights)
            weight.copy_(_kept[name]);
    }

    public void Dispose()
    {
        if (_kept is null)
            return;
        foreach (Tensor tensor in _kept.Values)
            tensor.Dispose();
    }

    private Dictionary<string, Tensor> Copy()
    {
        using var scope = NewDisposeScope();
        return weights.ToDictionary(entry => entry.Name, entry => entry.Weight.detach().clone().DetachFromDisposeScope());
    }
}
