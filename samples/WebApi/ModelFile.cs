using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;

namespace WebApi;

/// <summary>Where the model comes from.</summary>
internal static class ModelFile
{
    /// <summary>Loads a saved model.</summary>
    /// <param name="path">A model's zip or folder; <see langword="null"/> for one trained on the .NET documentation of the SDK at hand.</param>
    /// <param name="trainedPath">Where that one is kept, so that only the first start trains it.</param>
    public static LeapLanguageModel Open(string? path, string trainedPath)
    {
        if (path is null && !File.Exists(trainedPath))
            Train(trainedPath);
        return LeapLanguageModel.Load(path ?? trainedPath);
    }

    private static void Train(string path)
    {
        Console.WriteLine($"No Model:Path is set: training a small model, to be kept in {path}");
        var context = new MLContext(seed: 1);
        string[] texts = [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(texts);
        IDataView data = context.Data.LoadFromEnumerable(texts.Take(30_000).Select(text => new { Text = text }));
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            Epochs = 1,
            Progress = step =>
            {
                if (step.Step % 25 == 0)
                    Console.WriteLine($"Step {step.Step} of {step.StepCount}, loss {step.Loss:0.00}");
            },
        }).Fit(data);

        context.Leap().Save(model, data.Schema, path);
    }
}
