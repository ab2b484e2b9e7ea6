using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;

namespace WebApi;

/// <summary>Where the model comes from.</summary>
internal static partial class ModelFile
{
    /// <summary>Loads a saved model.</summary>
    /// <param name="path">A model's zip; <see langword="null"/> for one trained on the .NET documentation of the SDK at hand.</param>
    /// <param name="trainedPath">Where that one is kept, so that only the first start trains it.</param>
    /// <param name="log">Gets the progress of the training.</param>
    public static LanguageModel Open(string? path, string trainedPath, ILogger log)
    {
        var context = new MLContext(seed: 1);
        if (path is null && !File.Exists(trainedPath))
            Train(context, trainedPath, log);
        LogLoading(log, path ?? trainedPath);
        ITransformer pipeline = context.Model.Load(path ?? trainedPath, out _);
        try
        {
            return new LanguageModel(context, pipeline);
        }
        catch
        {
            (pipeline as IDisposable)?.Dispose();
            throw;
        }
    }

    private static void Train(MLContext context, string path, ILogger log)
    {
        string[] texts = [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(texts);
        IDataView data = context.Data.LoadFromEnumerable(texts.Take(30_000).Select(text => new TextRow { Text = text }));
        LogTraining(log, path);
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            Epochs = 1,
            Progress = step =>
            {
                if (step.Step % 25 == 0)
                    LogStep(log, step.Step, step.StepCount, step.Loss);
            },
        }).Fit(data);

        context.Leap().Save(model, data.Schema, path);
    }

    [LoggerMessage(LogLevel.Information, "Loading {Path}")]
    private static partial void LogLoading(ILogger log, string path);

    [LoggerMessage(LogLevel.Information, "No Model:Path is set: training a small model, to be kept in {Path}")]
    private static partial void LogTraining(ILogger log, string path);

    [LoggerMessage(LogLevel.Information, "Step {Step} of {StepCount}, loss {Loss:0.00}")]
    private static partial void LogStep(ILogger log, long step, long stepCount, double loss);
}
