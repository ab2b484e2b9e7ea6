namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One way of making the next token at one place, timed again and again.</summary>
internal interface IGenerationContestant : IDisposable
{
    /// <summary>Makes tokens from the same place as the last time.</summary>
    /// <returns>The milliseconds of one token; with several texts, of one of each.</returns>
    double Measure();
}
