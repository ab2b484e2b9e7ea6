namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The errors of many values: the largest, and the root of their mean square.</summary>
internal struct ErrorRange
{
    private double _squares;
    private long _count;

    public double Largest { get; private set; }

    public readonly double RootMeanSquare => Math.Sqrt(_squares / _count);

    public void Add(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            double error = Math.Abs(expected[i] - actual[i]);

            // Math.Max keeps NaN: a value that is none is no small error.
            Largest = Math.Max(Largest, error);
            _squares += error * error;
        }

        _count += expected.Length;
    }
}
