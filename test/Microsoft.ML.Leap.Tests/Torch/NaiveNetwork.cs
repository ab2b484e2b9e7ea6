namespace Microsoft.ML.Leap.Tests;

/// <summary>Layers as plain loops in double precision, on weights by their names.</summary>
internal abstract class NaiveNetwork(IReadOnlyDictionary<string, double[]> weights)
{
    protected double[] Bias(string name) => weights[name];

    protected double[] LayerNorm(double[] x, string name)
    {
        double mean = x.Average();
        double variance = x.Average(v => (v - mean) * (v - mean));
        return [.. x.Select((v, k) => (v - mean) / Math.Sqrt(variance + 1e-5) * weights[name + ".weight"][k] + weights[name + ".bias"][k])];
    }

    protected double[] Product(string name, double[] x) =>
        [.. Enumerable.Range(0, weights[name].Length / x.Length).Select(r => Dot(weights[name].AsSpan(r * x.Length, x.Length), x))];

    /// <summary>Convolves each channel over the present token and those before it: <c>y_t = sum over k of w_k * n_(t-k)</c>.</summary>
    public static double[][] Convolve(double[] weight, double[][] n)
    {
        int size = weight.Length / n[0].Length;
        return [.. n.Select((row, t) => row.Select((_, c) =>
            Enumerable.Range(0, Math.Min(size, t + 1)).Sum(k => weight[k * row.Length + c] * n[t - k][c])).ToArray())];
    }

    // The rows as they are where there is no such convolution.
    protected double[][] Convolved(string name, double[][] n) => weights.TryGetValue(name, out double[]? weight) ? Convolve(weight, n) : n;

    protected double[] Row(string name, long row, int size) => weights[name][(int)(row * size)..(int)((row + 1) * size)];

    protected static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    protected static double Gelu(double x) => x * 0.5 * (1 + Erf(x / Math.Sqrt(2)));

    protected static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int k = 0; k < a.Length; k++)
            sum += a[k] * b[k];
        return sum;
    }

    // The series of erf; past 5 it differs from 1 by less than it loses by cancelling.
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 5)
            return Math.Sign(x);

        double term = x;
        double sum = x;
        for (int n = 1; n < 200 && Math.Abs(term) > 1e-18; n++)
        {
            term *= -x * x / n;
            sum += term / (2 * n + 1);
        }

        return 2 / Math.Sqrt(Math.PI) * sum;
    }
}
