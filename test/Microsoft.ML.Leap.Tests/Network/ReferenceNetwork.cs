namespace Microsoft.ML.Leap.Tests;

/// <summary>The network's equations in double precision, each token by itself, in plain loops.</summary>
internal sealed class ReferenceNetwork(LeapConfig config, IReadOnlyDictionary<string, float[]> weights)
{
    private readonly int _d = config.HiddenSize;

    /// <summary>Returns what the output layer sees of each token.</summary>
    /// <param name="ids">The tokens of one sequence.</param>
    /// <param name="observe">Takes focus weights and gates, [tokens, H], and the output of each layer.</param>
    public double[][] Hidden(int[] ids, Action<int, double[][], double[][], double[][]>? observe = null)
    {
        double[][] x = [.. ids.Select((id, i) => Sum(
            Row("word_embedding.weight", id),
            config.UsePositionEmbeddings ? Row("leap_model.position_embeddings.weight", Math.Min(i, config.ContextLength - 1)) : new double[_d]))];
        for (int l = 0; l < config.LayerCount; l++)
        {
            string block = $"leap_model.decoders.{l}.";
            int window = config.WindowSizes[l] >= config.ContextLength ? int.MaxValue : config.WindowSizes[l];
            double[][] normed = Convolve(block + "pre_convolution.weight", [.. x.Select(row => LayerNorm(block + "pre_norm", row))]);
            double[][] projections = [.. normed.Select(row => Product(block + "projections.weight", 2 * _d + 2 * config.HeadCount * config.FocusSize, row))];
            (double[][] f, double[][] a, double[][] attended) = Attend(projections, window);
            x = [.. x.Select((row, i) => Sum(row, attended[i]))];
            normed = Convolve(
                block + "boom_convolution.weight", [.. x.Select(row => LayerNorm(block + "boom_norm", LayerNorm(block + "pre_norm", row)))]);
            x = [.. x.Select((row, i) =>
            {
                double[] inner = Product(block + "boom.weight", weights[block + "boom.weight"].Length / _d, normed[i]);
                return Sum(row, Product(block + "unboom.weight", _d, [.. inner.Select(Gelu)]));
            })];
            observe?.Invoke(l, f, a, x);
        }

        return [.. x.Select(row => LayerNorm("last_norm", row))];
    }

    public double[] Logits(double[] hidden) =>
        Sum(Product("word_embedding.weight", config.VocabularySize, hidden), [.. weights["proj_logits.bias"].Select(value => (double)value)]);

    private double[][] Convolve(string name, double[][] n) => config.ConvolutionSize == 0
        ? n
        : NaiveNetwork.Convolve([.. weights[name].Select(value => (double)value)], n);

    private (double[][] Focus, double[][] Gates, double[][] Output) Attend(double[][] projections, int window)
    {
        int e = config.HeadSize;
        int r = config.FocusSize;
        int focus = config.HeadCount * r;
        double[][] f = [.. projections.Select(_ => new double[config.HeadCount])];
        double[][] a = [.. projections.Select(_ => new double[config.HeadCount])];
        double[][] output = [.. projections.Select(_ => new double[_d])];
        for (int h = 0; h < config.HeadCount; h++)
        {
            double[] Part(int token, int start, int size) => projections[token][(start + h * size)..(start + (h + 1) * size)];
            double[] F1(int token) => Part(token, _d, r);
            for (int i = 0; i < projections.Length; i++)
            {
                f[i][h] = Math.Exp(config.RescaleValue / r * Dot(Norm(F1(i)), Norm(Part(i, _d + focus, r))));
                double[] mean = new double[e];
                double total = 0;
                for (int j = (int)Math.Max(0, i - (long)window + 1); j <= i; j++)
                {
                    double[] U = Part(j, _d + 2 * focus, e);
                    double weight = f[j][h];
                    for (int forgetting = j + 1; config.UseForgetGates && forgetting <= i; forgetting++)
                        weight *= Keep(F1(forgetting), h);
                    total += weight;
                    for (int k = 0; k < e; k++)
                        mean[k] += weight * U[k];
                }

                mean = [.. mean.Select(value => value / total)];
                a[i][h] = 1 / (1 + Math.Exp(-Dot(Part(i, 0, e), mean) / Math.Sqrt(e)));
                for (int k = 0; k < e; k++)
                    output[i][h * e + k] = a[i][h] * mean[k];
            }
        }

        return (f, a, output);
    }

    private double Keep(double[] F1, int head)
    {
        double offset = config.HeadCount == 1 ? 5 : 5.0 * head / (config.HeadCount - 1);
        return 1 / (1 + Math.Exp(-3 * F1.Sum() / Math.Sqrt(F1.Length) - offset));
    }

    private double[] Row(string name, int row) => [.. weights[name].Skip(row * _d).Take(_d).Select(value => (double)value)];

    private double[] Product(string name, int rows, double[] x)
    {
        float[] matrix = weights[name];
        double[] y = new double[rows];
        for (int r = 0; r < rows; r++)
        {
            for (int k = 0; k < x.Length; k++)
                y[r] += (double)matrix[r * x.Length + k] * x[k];
        }

        return y;
    }

    private double[] LayerNorm(string name, double[] x)
    {
        double mean = x.Average();
        double variance = x.Average(value => (value - mean) * (value - mean));
        return [.. x.Select((value, k) =>
            (value - mean) / Math.Sqrt(variance + 1e-5) * weights[name + ".weight"][k] + weights[name + ".bias"][k])];
    }

    private static double[] Norm(double[] y)
    {
        double mean = y.Average();
        double deviation = Math.Sqrt(y.Sum(value => (value - mean) * (value - mean)) / (y.Length - 1));
        return [.. y.Select(value => (value - mean) / (deviation + 1e-5))];
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (left, right) => left * right).Sum();

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (left, right) => left + right)];

    private static double Gelu(double x) => x * NormalProbability(x);

    // Phi(x) = 1/2 + phi(x) (x + x^3 / 3 + x^5 / 15 + ...), whose summands all have the same sign.
    private static double NormalProbability(double x)
    {
        if (Math.Abs(x) > 8)
            return x > 0 ? 1 : 0;
        double sum = x;
        double summand = x;
        for (int n = 3; n < 300; n += 2)
        {
            summand *= x * x / n;
            sum += summand;
        }

        return 0.5 + Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI) * sum;
    }
}
