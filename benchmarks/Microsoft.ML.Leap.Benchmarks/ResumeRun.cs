using System.Globalization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A small training run on made-up text that uses all that a checkpoint must keep: dropout, shuffling, accumulation, warmup,
/// evaluations and the best model.</summary>
internal static class ResumeRun
{
    private static readonly string[] _words = ["the", "cat", "dog", "house", "sees", "eats", "sleeps", "in", "under", "a", "red", "quiet"];

    /// <summary>Trains, or goes on from the folder's latest checkpoint, and prints the number of each step.</summary>
    public static void Train(string folder, int steps)
    {
        var context = new MLContext();
        IDataView texts = context.Data.LoadFromEnumerable(Texts().Select(text => new { Text = text }));
        var options = new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.Bytes(),
            HiddenSize = 32,
            LayerCount = 2,
            ContextLength = 32,
            UsePositionEmbeddings = true,
            Dropout = 0.1,
            Layout = TrainingLayout.Stream,
            TargetSmoothing = 0,
            LearningRate = 5e-4,
            BatchSize = 4,
            GradientAccumulation = 2,
            MaximumSteps = steps,
            WarmupSteps = steps / 10,
            Schedule = LearningRateSchedule.Cosine(),
            ValidationFraction = 0.1,
            EvaluationInterval = TrainingInterval.Steps(30),
            CheckpointFolder = folder,
            CheckpointInterval = TrainingInterval.Steps(50),
            Resume = true,
            Seed = 1,
            Device = "cpu",
            Progress = progress => Console.WriteLine(progress.Step.ToString(CultureInfo.InvariantCulture)),
        };
        context.Leap().LanguageModel(options).Fit(texts).Dispose();
    }

    private static IEnumerable<string> Texts()
    {
        var random = new Random(3);
        for (int i = 0; i < 200; i++)
            yield return string.Join(' ', Enumerable.Range(0, 12).Select(_ => _words[random.Next(_words.Length)]));
    }
}
