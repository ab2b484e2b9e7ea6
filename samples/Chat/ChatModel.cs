using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;
using Spectre.Console;

namespace Chat;

/// <summary>The model to talk to.</summary>
internal static class ChatModel
{
    /// <summary>Trains a model.</summary>
    /// <param name="textFile">A file of texts, one per line; <see langword="null"/> for the .NET documentation of the SDK at hand.</param>
    /// <param name="epochs">How often to read them.</param>
    /// <param name="savePath">Where to save the model; <see langword="null"/> for nowhere.</param>
    public static LeapLanguageModel Train(FileInfo? textFile, int epochs, string? savePath)
    {
        var context = new MLContext(seed: 1);
        IDataView data = context.Data.LoadFromEnumerable(Texts(textFile).Select(text => new Document { Text = text }));
        LeapLanguageModelTransformer model = AnsiConsole.Progress().Start(progress =>
        {
            ProgressTask task = progress.AddTask("learning the tokenizer");
            return context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
            {
                Epochs = epochs,
                Progress = step =>
                {
                    task.MaxValue = step.StepCount;
                    task.Value = step.Step;
                    task.Description = $"step {step.Step}/{step.StepCount}  loss {step.Loss:0.00}";
                },
            }).Fit(data);
        });
        if (savePath is not null)
            context.Leap().Save(model, data.Schema, savePath);
        return model.Model;
    }

    // Of the documentation, what trains in half a minute on two cores.
    private static string[] Texts(FileInfo? file)
    {
        if (file is not null)
            return [.. File.ReadLines(file.FullName).Where(line => !string.IsNullOrWhiteSpace(line))];
        string[] texts = [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(texts);
        return texts[..Math.Min(texts.Length, 30_000)];
    }
}
