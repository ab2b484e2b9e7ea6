#:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
#:property PublishAot=false

// %% [markdown]
// # Classify with few labels
//
// Texts are plenty, labels are few. A language model learns from the texts alone; its column of embeddings then turns each text into a vector of
// fixed size, and an ordinary classifier of ML.NET learns from the few labels. Does that beat `FeaturizeText`, which counts words and
// letters? Here both try the same task, with 20 and with 100 labels per class.

// %%
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Xml.Linq;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Leap;

// %% [parameters]
int trainingTexts = 20_000;    // texts without labels
int[] labelCounts = [20, 100]; // labels per class
int draws = 3;                 // how often the labels are drawn anew
int testTexts = 200;           // per class
int? epochs = null;            // null: the trainer chooses

// %% [markdown]
// ## Texts, and what they are about
//
// The summaries of the .NET documentation. The class of a text is the namespace that its type is in.

// %%
string[] classes = ["System.Net", "System.Xml", "System.Threading", "System.Reflection", "System.Text", "System.IO"];
string packs = Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref");
var texts = Directory.EnumerateFiles(packs, "*.xml", SearchOption.AllDirectories).Order()
    .SelectMany(file => XDocument.Load(file).Descendants("member"))
    .Select(member => new
    {
        Label = classes.FirstOrDefault(name => member.Attribute("name")!.Value[2..].StartsWith(name + ".", StringComparison.Ordinal)) ?? "",
        Text = string.Join(' ', (member.Element("summary")?.Value ?? "").Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)),
    })
    .Where(text => text.Text.Length > 40).DistinctBy(text => text.Text).ToArray();
new Random(1).Shuffle(texts);

var test = classes.SelectMany(name => texts.Where(text => text.Label == name).Take(testTexts)).ToArray();
var rest = texts.Except(test).ToArray();
foreach (string name in classes)
    Console.WriteLine($"{name,-18}  {rest.Count(text => text.Label == name),5} texts, and {test.Count(text => text.Label == name)} to test");

// %% [markdown]
// ## A model of the texts, without any label
//
// The column `Embedding` is the mean of what the network has in its last layer for each token.

// %%
var mlContext = new MLContext(seed: 1);
LeapLanguageModelTransformer model = mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
{
    EmbeddingColumnName = "Embedding",
    Epochs = epochs,
}).Fit(mlContext.Data.LoadFromEnumerable(rest.Take(trainingTexts).Select(text => new { text.Text })));
Console.WriteLine($"trained on {Math.Min(trainingTexts, rest.Length)} texts; {model.Config}");

// %% [markdown]
// ## Three ways to see a text
//
// Embeddings, `FeaturizeText`, and both side by side; the same linear classifier on top, the same labels. Each way gets the strength of
// regularisation that suits it best: what is right for many sparse features is wrong for few dense ones.

// %%
IDataView Embedded(IEnumerable<(string Label, string Text)> rows) =>
    mlContext.Data.Cache(model.Transform(mlContext.Data.LoadFromEnumerable(rows.Select(row => new { row.Label, row.Text }))), "Label", "Text", "Embedding");

IDataView tested = Embedded(test.Select(text => (text.Label, text.Text)));
var ways = new Dictionary<string, IEstimator<ITransformer>>
{
    ["embedding"] = mlContext.Transforms.NormalizeMeanVariance("Features", "Embedding"),
    ["FeaturizeText"] = mlContext.Transforms.Text.FeaturizeText("Features", "Text"),
    ["both"] = mlContext.Transforms.Text.FeaturizeText("Words", "Text")
        .Append(mlContext.Transforms.NormalizeLpNorm("Vector", "Embedding"))
        .Append(mlContext.Transforms.Concatenate("Features", "Words", "Vector")),
};

float[] strengths = [1, 0.1f, 0.01f];
double Accuracy(IEstimator<ITransformer> way, IDataView labelled, float strength)
{
    var pipeline = mlContext.Transforms.Conversion.MapValueToKey("Key", "Label").Append(way)
        .Append(mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy("Key", "Features", l1Regularization: 0, l2Regularization: strength));
    return mlContext.MulticlassClassification.Evaluate(pipeline.Fit(labelled).Transform(tested), "Key").MacroAccuracy;
}

foreach (int labelCount in labelCounts)
{
    var accuracies = ways.Keys.SelectMany(way => strengths.Select(strength => (way, strength))).ToDictionary(key => key, _ => new List<double>());
    for (int draw = 0; draw < draws; draw++)
    {
        var random = new Random(draw);
        IDataView labelled = Embedded(classes.SelectMany(name =>
        {
            var own = rest.Where(text => text.Label == name).ToArray();
            random.Shuffle(own);
            return own.Take(labelCount).Select(text => (text.Label, text.Text));
        }));
        foreach ((string way, float strength) in accuracies.Keys)
            accuracies[(way, strength)].Add(Accuracy(ways[way], labelled, strength));
    }

    var best = accuracies.GroupBy(pair => pair.Key.way).Select(group => group.MaxBy(pair => pair.Value.Average())).ToArray();
    foreach (var (key, values) in best)
        Console.WriteLine($"{labelCount,4} labels per class, {key.way,-14}  {values.Average():P1} right, {values.Min():P1} to {values.Max():P1}");
    Console.WriteLine($"{labelCount,4} labels per class: {best.MaxBy(pair => pair.Value.Average()).Key.way} won");
}

// %% [markdown]
// Here the words themselves tell the namespace, and `FeaturizeText` sees each of them: it is far ahead of the embeddings alone, and with 100 labels
// nothing that the model adds helps. With 20 labels, both together are a little better than either. Take embeddings where a small dense vector is
// needed, for neighbours and clusters, or beside other features; measure before you prefer them to counted words.
