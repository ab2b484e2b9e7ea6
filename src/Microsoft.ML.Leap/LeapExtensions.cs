using Microsoft.ML.Leap;

namespace Microsoft.ML;

/// <summary>Adds LEAP language models to <see cref="MLContext"/>.</summary>
public static class LeapExtensions
{
    /// <summary>Gives the catalog of LEAP trainers and operations of a context.</summary>
    /// <param name="mlContext">The context whose seed, log and device settings apply.</param>
    /// <returns>The catalog; cheap to make, and bound to <paramref name="mlContext"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="mlContext"/> is <see langword="null"/>.</exception>
    public static LeapCatalog Leap(this MLContext mlContext)
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        return new LeapCatalog(mlContext);
    }
}
