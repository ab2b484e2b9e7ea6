namespace Microsoft.ML.Leap.Tests;

/// <summary>The network's equations as plain loops in double precision, one sequence at a time: slow, and plainly right.</summary>
internal sealed class NaiveLeap(LeapConfig config, IReadOnlyDictionary<string, double[]> weights) : NaiveNetwork(weights)
{
    private readonly int _d = config.HiddenSize;

    public double[][] Logits(long[] ids)
    {
        Heads.Clear();
        double[][] x = [.. ids.Select((id, i) => Sum(Row("word_embedding.weight", id, _d), Row("leap_model.position_embeddings.weight", i, _d)))];
        for (int l = 0; l < config.LayerCount; l++)
            x = Block(x, $"leap_model.decoders.{l}.", config.WindowSizes[l]);
        return [.. x.Select(Head)];
    }

    /// <summary>What each head of each layer focused on in the last <see cref="Logits"/>, layer after layer.</summary>
    public List<(double[] Weights, double[] Gates, double[] Kept)> Heads { get; } = [];

    /// <summary>One head's attention; each array is one vector per token.</summary>
    public static double[][] Attend(double[][] q, double[][] f1, double[][] f2, double[][] u, int window, double rescale, double? forgetOffset = null) =>
        Attend(q, f1, f2, u, window, rescale, forgetOffset, out _, out _, out _);

    private static double[][] Attend(
        double[][] q, double[][] f1, double[][] f2, double[][] u, int window, double rescale, double? forgetOffset, out double[] weights, out double[] gates,
        out double[] kept)
    {
        int e = q[0].Length;
        int r = f1[0].Length;
        double[] opened = new double[q.Length];
        double[] focus = weights = [.. f1.Select((_, i) => Math.Exp(rescale / r * Dot(Normalised(f1[i]), Normalised(f2[i]))))];
        gates = opened;
        double[] parts = kept = [.. f1.Select(v => forgetOffset is double offset ? 1 / (1 + Math.Exp(-3 * v.Sum() / Math.Sqrt(r) - offset)) : 1)];
        return [.. q.Select((_, i) => AttendAt(i))];

        double[] AttendAt(int i)
        {
            var mean = new double[e];
            double total = 0;
            for (int j = Math.Max(0, i - window + 1); j <= i; j++)
            {
                double weight = focus[j] * parts[(j + 1)..(i + 1)].Aggregate(1.0, (product, part) => product * part);
                total += weight;
                for (int k = 0; k < e; k++)
                    mean[k] += weight * u[j][k];
            }

            mean = [.. mean.Select(m => m / total)];
            double gate = opened[i] = 1 / (1 + Math.Exp(-Dot(q[i], mean) / Math.Sqrt(e)));
            return [.. mean.Select(m => gate * m)];
        }
    }

    public static double[] Normalised(double[] y)
    {
        double mean = y.Average();
        double deviation = Math.Sqrt(y.Sum(v => (v - mean) * (v - mean)) / (y.Length - 1));
        return [.. y.Select(v => (v - mean) / (deviation + 1e-5))];
    }

    private double[][] Block(double[][] x, string name, int window)
    {
        double[][] normed = Convolved(name + "pre_convolution.weight", [.. x.Select(v => LayerNorm(v, name + "pre_norm"))]);
        double[][] parts = [.. normed.Select(v => Product(name + "projections.weight", v))];
        double[][] attended = [.. x.Select(_ => new double[_d])];
        int e = config.HeadSize;
        int r = config.FocusSize;
        int focus = config.HeadCount * r;
        for (int h = 0; h < config.HeadCount; h++)
        {
            double[][] Part(int start, int size) => [.. parts.Select(row => row[(start + h * size)..(start + (h + 1) * size)])];
            double[][] head = Attend(
                Part(0, e), Part(_d, r), Part(_d + focus, r), Part(_d + 2 * focus, e), window, config.RescaleValue, ForgetOffset(h), out double[] weights, out double[] gates, out double[] kept);
            Heads.Add((weights, gates, kept));
            for (int i = 0; i < x.Length; i++)
                head[i].CopyTo(attended[i], h * e);
        }

        x = [.. x.Select((v, i) => Sum(v, attended[i]))];
        normed = Convolved(name + "boom_convolution.weight", [.. x.Select(v => LayerNorm(LayerNorm(v, name + "pre_norm"), name + "boom_norm"))]);
        return [.. x.Select((v, i) => Sum(v, FeedForward(normed[i], name)))];
    }

    private double? ForgetOffset(int head) => !config.UseForgetGates ? null : config.HeadCount == 1 ? 5 : 5.0 * head / (config.HeadCount - 1);

    private double[] FeedForward(double[] n, string name) =>
        Product(name + "unboom.weight", [.. Product(name + "boom.weight", n).Select(Gelu)]);

    private double[] Head(double[] x) =>
        Sum(Product("word_embedding.weight", LayerNorm(x, "last_norm")), Bias("proj_logits.bias"));
}
