using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>All that decides the numbers of a run, by name: two runs with the same entries take the same steps.</summary>
internal static class RunFingerprint
{
    private const int BlocksAtOnce = 64;

    public static Dictionary<string, string> Compute(LeapConfig config, TokenBlocks training, TokenBlocks? validation, TrainingSettings settings)
    {
        FormattableString[] numbers =
        [
            $"Epochs={settings.Epochs}",
            $"MaximumSteps={settings.MaximumSteps}",
            $"BatchSize={settings.BatchSize}",
            $"GradientAccumulation={settings.GradientAccumulation}",
            $"Precision={(settings.UsesBFloat16 ? TrainingPrecision.BFloat16 : TrainingPrecision.Float32)}",
            $"LearningRate={settings.LearningRate}",
            $"Schedule={settings.Schedule}",
            $"WarmupSteps={settings.WarmupSteps}",
            $"WarmupRatio={settings.WarmupRatio}",
            $"Optimizer={settings.Optimizer}",
            $"Beta1={settings.Beta1}",
            $"Beta2={settings.Beta2}",
            $"WeightDecay={settings.WeightDecay}",
            $"DecayAllWeights={settings.DecayAllWeights}",
            $"TargetSmoothing={settings.SmoothedTargets?.Weight ?? 0}",
            $"MaximumGradientNorm={settings.MaximumGradientNorm}",
            $"EvaluationInterval={settings.EvaluationInterval}",
            $"KeepBestModel={settings.KeepBestModel}",
            $"EarlyStoppingPatience={settings.EarlyStoppingPatience}",
            $"EarlyStoppingImprovement={settings.EarlyStoppingImprovement}",
            $"Seed={settings.Seed}",
        ];
        var entries = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["network"] = Describe(config),
            ["training data"] = Describe(training),
            ["validation data"] = validation is null ? "none" : Describe(validation),
        };
        foreach (FormattableString number in numbers)
        {
            string[] parts = number.ToString(CultureInfo.InvariantCulture).Split('=', 2);
            entries[parts[0]] = parts[1].Length == 0 ? "not set" : parts[1];
        }

        return entries;
    }

    /// <summary>Refuses a checkpoint of another run.</summary>
    /// <exception cref="InvalidOperationException">The entries differ.</exception>
    public static void Require(Dictionary<string, string> expected, Dictionary<string, string> found, string path)
    {
        foreach ((string name, string value) in expected)
        {
            string other = found.GetValueOrDefault(name, "not known");
            if (other != value)
            {
                throw new InvalidOperationException(
                    $"The checkpoint '{path}' belongs to another run: its {name} is {other}, but that of this run is {value}. " +
                    "Make them agree, or name another CheckpointFolder.");
            }
        }
    }

    private static string Describe(LeapConfig config)
    {
        using var stream = new MemoryStream();
        ConfigJson.Write(stream, config);
        return Encoding.UTF8.GetString(stream.ToArray()).Replace("\n", "", StringComparison.Ordinal).Replace("  ", " ", StringComparison.Ordinal);
    }

    private static string Describe(TokenBlocks blocks)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (TokenBlock[] batch in blocks.InBatches(BlocksAtOnce))
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor inputs, Tensor targets, _) = blocks.Batch(batch, CPU);
            hash.AppendData(inputs.bytes);
            hash.AppendData(targets.bytes);
        }

        return $"{blocks.TargetCount} tokens with the sum {Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 8))}";
    }
}
