using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>All that decides the numbers of a run, by name: two runs with the same entries take the same steps.</summary>
internal static class RunFingerprint
{
    private const string Network = "network";
    private const string TrainingData = "training data";
    private const string ValidationData = "validation data";
    private const string Seed = nameof(TrainingOptions.Seed);

    private const int BlocksAtOnce = 64;

    // How long a run may take and what it leaves behind. A new option counts, unless it stands here: a needless refusal is seen, a resumed
    // run that differs is not.
    internal static readonly HashSet<string> OptionsThatDecideNoStep =
    [
        nameof(TrainingOptions.TimeBudget), nameof(TrainingOptions.MaximumSkippedSteps), nameof(TrainingOptions.CheckpointFolder),
        nameof(TrainingOptions.CheckpointInterval), nameof(TrainingOptions.KeptCheckpoints), nameof(TrainingOptions.Resume),
        nameof(TrainingOptions.Progress), nameof(TrainingOptions.CancellationToken), nameof(TrainingOptions.OnCancel),
    ];

    /// <summary>Describes a run.</summary>
    /// <param name="config">The network.</param>
    /// <param name="training">The training texts.</param>
    /// <param name="validation">The validation texts; null for none.</param>
    /// <param name="options">The options, with none left open.</param>
    public static Dictionary<string, string> Compute(LeapConfig config, TokenBlocks training, TokenBlocks? validation, TrainingOptions options)
    {
        var entries = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [Network] = Describe(config),
            [TrainingData] = Describe(training),
            [ValidationData] = validation is null ? "none" : Describe(validation),
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
                    $"{GetHint(name, expected, found)}Make them agree, or name another CheckpointFolder.");
            }
        }
    }

    // The held-out rows are drawn by the seed, and a learned tokenizer does not see them; who set no Seed finds that the data differ though they do not.
    private static string GetHint(string name, Dictionary<string, string> expected, Dictionary<string, string> found)
    {
        if (!found.TryGetValue(Seed, out string? seed) || seed == expected[Seed])
            return "";
        return name switch
        {
            Network or TrainingData or ValidationData =>
                $"That may come of the seed, by which held-out rows are drawn: that of the checkpoint is {seed}, that of this run {expected[Seed]}. Set Seed to {seed}. ",
            Seed => $"Set Seed to {seed}. ",
            _ => "",
        };
    }

    /// <summary>Describes a network.</summary>
    internal static string Describe(LeapConfig config)
    {
        using var stream = new MemoryStream();
        ConfigJson.Write(stream, config);
        return Encoding.UTF8.GetString(stream.ToArray()).Replace("\n", "", StringComparison.Ordinal).Replace("  ", " ", StringComparison.Ordinal);
    }

    private static string Describe(TokenBlocks blocks)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        // Block by block: padded to the longest, those of a batch could take more memory than there is.
        foreach (TokenBlock block in blocks.InBatches(BlocksAtOnce).SelectMany(batch => batch))
        {
            hash.AppendData(BitConverter.GetBytes(block.Length));
            hash.AppendData(MemoryMarshal.AsBytes(blocks.Read(block).AsSpan()));
        }

        return $"{blocks.TargetCount} tokens with the sum {Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 8))}";
    }
}
