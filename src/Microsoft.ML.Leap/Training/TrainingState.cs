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
