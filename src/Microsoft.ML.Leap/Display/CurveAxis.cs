using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>An axis from one round number to another.</summary>
internal sealed record CurveAxis(double Low, double High, double Step)
{
    private const int Intervals = 5;

    // Finer labels would be the same number.
    private const double LeastRelativeStep = 1e-9;

    /// <summary>Makes an axis over values.</summary>
    /// <param name="least">The least of them.</param>
    /// <param name="greatest">The greatest.</param>
    /// <param name="leastStep">The least distance of two labels, over 0.</param>
    public static CurveAxis Over(double least, double greatest, double leastStep)
    {
        double rough = Math.Max(Math.Max((greatest - least) / Intervals, leastStep), LeastRelativeStep * Math.Abs(greatest));
        double magnitude = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = magnitude * ((rough / magnitude) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 });
        double low = Math.Floor(least / step) * step;
        return new CurveAxis(low, Math.Max(Math.Ceiling(greatest / step) * step, low + step), step);
    }

    public IEnumerable<(double Value, string Label)> Labels
    {
        get
        {
            int decimals = Math.Clamp((int)-Math.Floor(Math.Log10(Step)), 0, 9);
            string format = High < 1e9 ? $"N{decimals}" : "G4";
            for (int i = 0; i <= (int)Math.Round((High - Low) / Step); i++)
                yield return (Low + i * Step, (Low + i * Step).ToString(format, CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Gives a value's place: 0 at the axis's low end, 1 at its high end.</summary>
    public double Place(double value) => (value - Low) / (High - Low);
}
