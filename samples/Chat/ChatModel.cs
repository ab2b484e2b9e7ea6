using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;
using Spectre.Console;

namespace Chat;

/// <summary>The model to talk to.</summary>
internal static class ChatModel
{
    /// <summary>Loads a model from a zip or a folder, or trains one where no path is given.</summary>
    public static LeapLanguageModelTransformer Open(string? path, string? savePath)
    {
        var context = new MLContext(seed: 1);
        if (path is null)
            return Train(context, savePath);
        return Directory.Exists(path) ? context.Leap().LoadPretrained(path) : (LeapLanguageModelTransformer)context.Model.Load(path, out _);
    }

    private static LeapLanguageModelTransformer Train(MLContext context, string? savePath)
    {
        string[] texts = [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(texts);
        IDataView data = context.Data.LoadFromEnumerable(texts.Take(30_000).Select(text => new Document { Text = text }));
        LeapLanguageModelTransformer model = AnsiConsole.Progress().Start(progress =>
        {
            ProgressTask task = progress.AddTask("learning the tokenizer");
            return context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
            {
                Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize: 4096),
                Epochs = 1,
                Dropout = 0,
                LearningRate = 2e-3,
                Progress = step =>
                {
                    task.MaxValue = step.StepCount;
                    task.Value = step.Step;
                    task.Description = $"step {step.Step}/{step.StepCount}  loss {step.Loss:0.00}";
                },
            }).Fit(data);
        });
        if (savePath is not null)
            context.Model.Save(model, data.Schema, savePath);
        return model;
    }
}
