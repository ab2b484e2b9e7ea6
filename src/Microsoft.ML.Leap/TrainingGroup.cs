namespace Microsoft.ML.Leap;

/// <summary>Several trainers, called workers, that train one model together: each on its own rows, for some steps, after which their weights
/// become one.</summary>
/// <remarks>The trainer calls it on the thread that trains, in the order of its members here. Calls wait for the other workers.</remarks>
internal abstract class TrainingGroup
{
    /// <summary>Gets the number of parts that the training rows are dealt out in.</summary>
    public abstract int PartCount { get; }

    /// <summary>Gets whether the worker was given its own part alone, and not the rows of all parts.</summary>
    public abstract bool HasOwnPartAlone { get; }

    /// <summary>Joins the others.</summary>
    /// <returns>What they agreed upon; <see langword="null"/> where this worker is the one to decide it.</returns>
    /// <exception cref="InvalidOperationException">The group refuses this worker.</exception>
    public abstract TrainingPlan? Join();

    /// <summary>Tells whether a row is of this worker's part, where the worker has the rows of all.</summary>
    public abstract bool Takes(ReadOnlySpan<char> row);

    /// <summary>Begins the training, once enough others are there.</summary>
    /// <param name="plan">What the workers agreed upon, or what this one decided.</param>
    /// <param name="weights">This worker's first weights; then those that all begin with.</param>
    /// <returns>Where the run stands, its length, and how often to call <see cref="Exchange"/>.</returns>
    public abstract SharedSteps Start(TrainingPlan plan, float[] weights);

    /// <summary>Makes one of all workers' weights.</summary>
    /// <param name="step">The steps of the run that are done.</param>
    /// <param name="tokens">The tokens that this worker has trained on.</param>
    /// <param name="weights">This worker's weights; then those of all.</param>
    /// <returns>The steps of the run that are done now: others than <paramref name="step"/> where the run went on without this worker.</returns>
    public abstract long Exchange(long step, long tokens, float[] weights);
}

/// <summary>What workers must have in common before they train.</summary>
/// <param name="Seed">The seed of initial weights, and of the rows that are set aside.</param>
/// <param name="Recipe">The settings.</param>
/// <param name="Tokenizer">The tokenizer.</param>
/// <param name="StepCount">The steps that each worker takes.</param>
/// <param name="EvaluationCount">About how often each worker evaluates the shared weights.</param>
internal sealed record TrainingPlan(int Seed, TrainingRecipe Recipe, LeapTokenizer Tokenizer, int StepCount, int EvaluationCount);
