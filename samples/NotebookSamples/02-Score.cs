#:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
#:package ScottPlot
#:property PublishAot=false

// %% [markdown]
// # Find the texts that do not belong
//
// A fitted language model gives each row of a data view its perplexity: how surprised the model is by the text, per token. What it was
// trained on reads easily; noise, another language and scrambled sentences do not. No label is needed, nor an example of what is wrong.

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
using ScottPlot;
using ScottPlot.Statistics;

// %% [notebook]
// using Microsoft.DotNet.Interactive.Formatting;
// Formatter.Register<Plot>(plot => plot.GetSvgXml(640, 320), "image/svg+xml");
// Formatter.SetPreferredMimeTypesFor(typeof(Plot), "image/svg+xml");

// %% [parameters]
int trainingTexts = 16_000;
int vocabularySize = 2048;
int layerCount = 6;
int epochs = 2;
int rowCount = 300;            // rows of documentation among which the others are hidden

// %% [markdown]
// ## A model of the texts as they should be
//
// The summaries of the .NET documentation. [01-Train](01-Train.ipynb) goes through this step by step.

// %%
string packs = Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref");
string[] texts = Directory.EnumerateFiles(packs, "*.xml", SearchOption.AllDirectories).Order()
    .SelectMany(file => XDocument.Load(file).Descendants("summary"))
    .Where(summary => !summary.HasElements)
    .Select(summary => string.Join(' ', summary.Value.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)))
    .Where(text => text.Length > 40).Distinct().ToArray();
new Random(1).Shuffle(texts);

var mlContext = new MLContext(seed: 1);
IDataView data = mlContext.Data.LoadFromEnumerable(texts.Take(trainingTexts).Select(text => new { Text = text }));
LeapLanguageModelTransformer model = mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
{
    Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize),
    LayerCount = layerCount,
    ContextLength = 128,
    Epochs = epochs,
}).Fit(data);
Console.WriteLine($"trained on {Math.Min(trainingTexts, texts.Length)} texts");

// %% [markdown]
// ## Rows, and some that do not belong among them
//
// Documentation that the model has not read; ten rows of it with the letters of each word shuffled, ten with the words shuffled; and a few
// sentences in other languages.

// %%
var random = new Random(2);
string Shuffled<T>(IEnumerable<T> parts, string separator)
{
    T[] items = parts.ToArray();
    random.Shuffle(items);
    return string.Join(separator, items);
}

string[] unseen = texts.Skip(trainingTexts).Take(rowCount + 20).ToArray();
string[] foreign =
[
    "Der Zug nach Hamburg hat heute leider eine halbe Stunde Verspätung.",
    "Nous avons passé toute la soirée à chercher les clés de la maison.",
    "El perro del vecino ladra cada noche cuando pasa el último tren.",
    "Mia nonna prepara la pasta fresca ogni domenica mattina.",
    "Sateinen kesä teki metsästä vihreän ja täynnä sieniä.",
];
var rows = unseen.Take(rowCount).Select(text => new { Text = text, Kind = "documentation" })
    .Concat(unseen.Skip(rowCount).Take(10)
        .Select(text => new { Text = string.Join(' ', text.Split(' ').Select(word => Shuffled(word, ""))), Kind = "letters shuffled" }))
    .Concat(unseen.Skip(rowCount + 10).Select(text => new { Text = Shuffled(text.Split(' '), " "), Kind = "words shuffled" }))
    .Concat(foreign.Select(text => new { Text = text, Kind = "foreign" }));
IDataView scored = model.Transform(mlContext.Data.LoadFromEnumerable(rows));

// %% [markdown]
// ## The strangest first
//
// Scores are columns, computed when somebody reads them.

// %%
var ranked = scored.GetColumn<float>("Perplexity").Zip(scored.GetColumn<string>("Kind"), scored.GetColumn<string>("Text"))
    .Select(row => new { Perplexity = row.First, Kind = row.Second, Text = row.Third })
    .OrderByDescending(row => row.Perplexity).ToArray();
foreach (var row in ranked.Take(12))
    Console.WriteLine($"{row.Perplexity,10:0}  {row.Kind,-16}  {row.Text}");

// %%
foreach (var kind in ranked.GroupBy(row => row.Kind))
    Console.WriteLine($"{kind.Key,-16}  {kind.Count(),3} rows, median perplexity {kind.ElementAt(kind.Count() / 2).Perplexity:0}");

// %% [markdown]
// A garbled word falls apart into tokens that have never stood next to each other, and each of them is a surprise. Shuffled words are all
// known: a count of words could not tell them from a sentence. It is the order that surprises, and only a model that reads in context sees
// that. Some documentation is strange too: short texts, and names that occur once.

// %%
var plot = new Plot();
foreach (bool belongs in new[] { true, false })
{
    // Perplexities are compared by their ratio, so the axis is logarithmic.
    Histogram histogram = Histogram.WithBinCount(25, 0, 5);
    histogram.AddRange(ranked.Where(row => (row.Kind == "documentation") == belongs).Select(row => Math.Log10(row.Perplexity)));
    var bars = plot.Add.Bars(histogram.Bins, histogram.Counts.Select(count => (double)count));
    bars.LegendText = belongs ? "documentation" : "does not belong";
    foreach (Bar bar in bars.Bars)
        bar.Size = histogram.FirstBinSize;
}
plot.XLabel("perplexity, as its logarithm to base 10");
plot.YLabel("rows");
plot.ShowLegend(Alignment.UpperRight);
display(plot);

// %% [markdown]
// Where to draw the line depends on what a false alarm costs. Here: the rows that are stranger than 95 % of the documentation.

// %%
float limit = ranked.Where(row => row.Kind == "documentation").Select(row => row.Perplexity).Order().ElementAt(rowCount * 95 / 100);
var suspects = ranked.Where(row => row.Perplexity > limit).ToArray();
Console.WriteLine($"Above a perplexity of {limit:0}: {suspects.Count(row => row.Kind != "documentation")} of {ranked.Length - rowCount} " +
    $"rows that do not belong, and {suspects.Count(row => row.Kind == "documentation")} of {rowCount} of documentation");
