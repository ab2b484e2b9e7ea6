using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>A <see cref="TrainingPlan"/> as it travels: JSON, with the tokenizer's files in it.</summary>
internal sealed record SharedPlan(int Seed, int StepCount, int EvaluationCount, TrainingRecipe Recipe, Dictionary<string, byte[]> TokenizerFiles)
{
    /// <summary>Makes one of a plan.</summary>
    public static SharedPlan Create(TrainingPlan plan)
    {
        var files = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        plan.Tokenizer.Save((name, write) =>
        {
            using var stream = new MemoryStream();
            write(stream);
            files[name] = stream.ToArray();
        });
        return new SharedPlan(plan.Seed, plan.StepCount, plan.EvaluationCount, plan.Recipe, files);
    }

    /// <summary>Reads one.</summary>
    /// <exception cref="FormatException">The bytes are no plan.</exception>
    public static SharedPlan Parse(byte[] bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<SharedPlan>(bytes)!;
        }
        catch (JsonException e)
        {
            throw new FormatException($"The plan of a training run is damaged: {e.Message}", e);
        }
    }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this);

    public TrainingPlan ToPlan()
    {
        LeapTokenizer tokenizer = LeapTokenizer.Load(name => TokenizerFiles.TryGetValue(name, out byte[]? bytes) ? new MemoryStream(bytes) : null);
        return new TrainingPlan(Seed, Recipe, tokenizer, StepCount, EvaluationCount);
    }
}
