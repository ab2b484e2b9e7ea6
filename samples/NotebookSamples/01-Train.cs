#:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
#:package ScottPlot
#:property PublishAot=false

// %% [markdown]
// # Train a language model
//
// A language model reads a text token by token and says, at each place, how likely each possible next token is. This one learns the
// English of the .NET documentation that comes with the SDK, in this process, in about a minute on two cores.

// %%
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Xml.Linq;
using Microsoft.ML;
using Microsoft.ML.Leap;
using ScottPlot;

// %% [notebook]
// using Microsoft.DotNet.Interactive.Formatting;
// Formatter.Register<Plot>(plot => plot.GetSvgXml(640, 320), "image/svg+xml");
// Formatter.SetPreferredMimeTypesFor(typeof(Plot), "image/svg+xml");

// %% [parameters]
string textFile = "";         // a file of your own, one text a line; empty for the documentation
int maximumTexts = 20_000;
int vocabularySize = 2048;
int layerCount = 6;
int contextLength = 128;      // the most tokens that the model reads at once
int epochs = 2;               // how often it sees each text
string modelFile = Path.Combine(Path.GetTempPath(), "documentation.leap.zip");

// %% [markdown]
// ## Texts
//
// The summaries of the framework's types and members, one per row. A tenth is kept out, to see how the model does on what it has not read.

// %%
string packs = Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref");
IEnumerable<string> source = textFile != ""
    ? File.ReadLines(textFile)
    : Directory.EnumerateFiles(packs, "*.xml", SearchOption.AllDirectories).Order()
        .SelectMany(file => XDocument.Load(file).Descendants("summary"))
        .Where(summary => !summary.HasElements)
        .Select(summary => string.Join(' ', summary.Value.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)));
string[] texts = source.Where(text => text.Length > 40).Distinct().ToArray();
new Random(1).Shuffle(texts);
texts = texts.Take(maximumTexts).ToArray();

var mlContext = new MLContext(seed: 1);
IDataView data = mlContext.Data.LoadFromEnumerable(texts.Select(text => new { Text = text }));
var split = mlContext.Data.TrainTestSplit(data, testFraction: 0.1);
Console.WriteLine($"{texts.Length} texts of {texts.Sum(text => text.Length)} characters. The first three:");
foreach (string text in texts.Take(3))
    Console.WriteLine("  " + text);

// %% [markdown]
// ## Training
//
// The trainer is an estimator like any other of ML.NET: `Fit` gives a transformer. It learns a tokenizer from the texts first, then the
// network's weights. The loss is the surprise at the next token, in nats: it starts near the logarithm of the vocabulary's size.

// %%
List<TrainingProgress> steps = [];
var trainer = mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
{
    Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize),
    LayerCount = layerCount,
    ContextLength = contextLength,
    Epochs = epochs,
    Progress = progress =>
    {
        steps.Add(progress);
        if (progress.Step % 100 == 0)
            Console.WriteLine($"step {progress.Step} of {progress.StepCount}: loss {progress.Loss:0.00}");
    },
});
LeapLanguageModelTransformer model = trainer.Fit(split.TrainSet);
display(model);

// %%
var plot = new Plot();
var training = plot.Add.Scatter(steps.Select(step => (double)step.Step).ToArray(), steps.Select(step => step.Loss).ToArray());
training.MarkerSize = 0;
training.LegendText = "training";
var validation = plot.Add.Scatter(
    model.History.Records.Select(record => (double)record.Step).ToArray(),
    model.History.Records.Select(record => record.ValidationLoss!.Value).ToArray());
validation.MarkerSize = 8;
validation.LegendText = "validation";
plot.XLabel("step");
plot.YLabel("loss, nats per token");
plot.ShowLegend(Alignment.UpperRight);
display(plot);

// %%
display(model.History);

// %% [markdown]
// ## How good is it?
//
// *Perplexity* is the exponential of the mean loss. A perplexity of 20 says that the model is as unsure at each token as somebody who must
// choose evenly among 20. Without learning anything it would be the vocabulary's size.

// %%
LanguageModelMetrics metrics = mlContext.Leap().Evaluate(model.Transform(split.TestSet));
Console.WriteLine($"Perplexity on {metrics.DocumentCount} unseen texts: {metrics.Perplexity:0.0} per token, from a vocabulary of {model.Tokenizer.VocabularySize}");
display(metrics);

// %% [markdown]
// ## Keep it
//
// `mlContext.Model.Save` writes the usual zip of ML.NET, which a process that knows nothing of this notebook loads with
// `mlContext.Model.Load`. See [02-Score](02-Score.ipynb), [03-Generate](03-Generate.ipynb) and [04-Explain](04-Explain.ipynb) for what
// to do with it.

// %%
mlContext.Leap().Save(model, data.Schema, modelFile);
Console.WriteLine($"saved: {modelFile}, {new FileInfo(modelFile).Length / 1e6:0.0} MB");
Console.WriteLine("Gets the number of" + model.Generate("Gets the number of", new GenerationOptions { MaximumNewTokens = 12, Temperature = 0 }));
