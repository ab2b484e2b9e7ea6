using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>All that decides the numbers of a run, by name: two runs with the same entries take the same steps.</summary>
internal static class RunFingerprint
{
    private const int BlocksAtOnce = 64;

    // How long a run may take and what it leaves behind. A new option counts, unless it stands here: a needless refusal is seen, a resumed
    // run that differs is not.
    private static readonly HashSet<string> OptionsThatDecideNoStep =
    [
        nameof(TrainingOptions.TimeBudget), nameof(TrainingOptions.MaximumSkippedSteps), nameof(TrainingOptions.CheckpointFolder),
        nameof(TrainingOptions.CheckpointInterval), nameof(TrainingOptions.KeptCheckpoints), nameof(TrainingOptions.Resume),
        nameof(TrainingOptions.Progress), nameof(TrainingOptions.CancellationToken), nameof(TrainingOptions.OnCancel),
    ];

    // What each worker of a group may have of its own: its columns, its machine, and what the group decides.
    private static readonly HashSet<string> OptionsOfOneWorker =
    [
        .. OptionsThatDecideNoStep,
        nameof(LeapLanguageModelTrainer.Options.TextColumnName), nameof(LeapLanguageModelTrainer.Options.LogLikelihoodColumnName),
        nameof(LeapLanguageModelTrainer.Options.TokenCountColumnName), nameof(LeapLanguageModelTrainer.Options.PerplexityColumnName),
        nameof(LeapLanguageModelTrainer.Options.GeneratedTextColumnName), nameof(LeapLanguageModelTrainer.Options.TokensColumnName),
        nameof(LeapLanguageModelTrainer.Options.FocusWeightsColumnName), nameof(LeapLanguageModelTrainer.Options.TokenLogLikelihoodsColumnName),
        nameof(LeapLanguageModelTrainer.Options.EmbeddingColumnName), nameof(LeapLanguageModelTrainer.Options.Embedding),
        nameof(LeapLanguageModelTrainer.Options.Generation), nameof(LeapLanguageModelTrainer.Options.ScoringTokensPerBatch),
        nameof(LeapLanguageModelTrainer.Options.MaximumCorpusMemory), nameof(LeapLanguageModelTrainer.Options.Device),
        nameof(LeapLanguageModelTrainer.Options.FallbackToCpu), nameof(TrainingOptions.Precision), nameof(TrainingOptions.Seed),
        nameof(TrainingOptions.EvaluationInterval), nameof(TrainingOptions.KeepBestModel), nameof(TrainingOptions.EarlyStoppingPatience),
        nameof(TrainingOptions.EarlyStoppingImprovement),
    ];

    /// <summary>Describes what trainers that train one model together must have in common, by name.</summary>
    /// <param name="options">The options of one of them.</param>
    public static Dictionary<string, string> DescribeShared(LeapLanguageModelTrainer.Options options)
    {
        var entries = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (FieldInfo option in options.GetType().GetFields().Where(field => !OptionsOfOneWorker.Contains(field.Name)))
        {
            entries[option.Name] = option.GetValue(options) switch
            {
                null => "not set",
                int[] values => string.Join(", ", values),
                LeapLanguageModelTransformer model => Describe(model.Config),
                object value => Convert.ToString(value, CultureInfo.InvariantCulture)!,
            };
        }

        return entries;
    }

    /// <summary>Describes a run.</summary>
    /// <param name="config">The network.</param>
    /// <param name="training">The training texts.</param>
    /// <param name="validation">The validation texts; null for none.</param>
    /// <param name="options">The options, with none left open.</param>
    public static Dictionary<string, string> Compute(LeapConfig config, TokenBlocks training, TokenBlocks? validation, TrainingOptions options)
    {
        var entries = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["network"] = Describe(config),
            ["training data"] = Describe(training),
            ["validation data"] = validation is null ? "none" : Describe(validation),
        };
        foreach (FieldInfo option in typeof(TrainingOptions).GetFields().Where(field => !OptionsThatDecideNoStep.Contains(field.Name)))
            entries[option.Name] = Convert.ToString(option.GetValue(options), CultureInfo.InvariantCulture) is { Length: > 0 } value ? value : "not set";
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
