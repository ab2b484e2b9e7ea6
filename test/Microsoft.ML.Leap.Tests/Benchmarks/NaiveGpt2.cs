namespace Microsoft.ML.Leap.Tests;

/// <summary>GPT-2's equations as plain loops in double precision, one sequence at a time.</summary>
internal sealed class NaiveGpt2(LeapConfig config, IReadOnlyDictionary<string, double[]> weights) : NaiveNetwork(weights)
{
    private readonly int _d = config.HiddenSize;

    public double[][] Logits(long[] ids)
    {
        double[][] x = [.. ids.Select((id, i) => Sum(Row("word_embedding.weight", id, _d), Row("position_embeddings.weight", i, _d)))];
        for (int l = 0; l < config.LayerCount; l++)
            x = Block(x, $"h.{l}.");
        return [.. x.Select(v => Sum(Product("word_embedding.weight", LayerNorm(v, "ln_f")), Bias("proj_logits.bias")))];
    }

    private double[][] Block(double[][] x, string name)
    {
        double[][] normed = Convolved(name + "attn_convolution.weight", [.. x.Select(v => LayerNorm(v, name + "ln_1"))]);
        double[][] parts = [.. normed.Select(v => Affine(name + "c_attn", v))];
        x = [.. x.Select((v, i) => Sum(v, Affine(name + "c_proj", AttendAt(parts, i))))];
        normed = Convolved(name + "mlp_convolution.weight", [.. x.Select(v => LayerNorm(v, name + "ln_2"))]);
        return [.. x.Select((v, i) => Sum(v, FeedForward(normed[i], name)))];
    }

    private double[] AttendAt(double[][] parts, int i)
    {
        int e = config.HeadSize;
        var result = new double[_d];
        for (int h = 0; h < config.HeadCount; h++)
        {
            double[] Part(int token, int p) => parts[token][(p * _d + h * e)..(p * _d + (h + 1) * e)];
            double[] scores = [.. Enumerable.Range(0, i + 1).Select(j => Math.Exp(Dot(Part(i, 0), Part(j, 1)) / Math.Sqrt(e)))];
            double total = scores.Sum();
            for (int j = 0; j <= i; j++)
            {
                double[] value = Part(j, 2);
                for (int k = 0; k < e; k++)
                    result[h * e + k] += scores[j] / total * value[k];
            }
        }

        return result;
    }

    private double[] FeedForward(double[] n, string name) => Affine(name + "mlp_proj", [.. Affine(name + "c_fc", n).Select(Gelu)]);

    private double[] Affine(string name, double[] x) => Sum(Product(name + ".weight", x), Bias(name + ".bias"));
}
