#:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
#:package ScottPlot
#:property PublishAot=false

// %% [markdown]
// # What did the model focus on?
//
// LEAP gives each token one weight per head, its *focus*, and each position receives the mean of what stands before it by those weights. So
// what the model looks at is not an estimate: it is what the network computes with.
// [docs/explanations.md](../../docs/explanations.md) says what the numbers are, and what they are not.

// %%
using System;
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
int trainingTexts = 12_000;
int vocabularySize = 2048;
int layerCount = 6;
int epochs = 2;
string text = "Returns a value that indicates whether this instance is equal to a specified object.";

// %% [markdown]
// ## A model
//
// As in [01-Train](01-Train.ipynb).

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
display(model);

// %% [markdown]
// ## A text
//
// The colour is the focus over all layers and heads: 1 is an even part. Choose a layer and a head above the text; point at a token to see
// what it got from each token before it. The bars below are the surprise: how little the model expected the token.

// %%
FocusReport report = model.Explain(text);
display(report);

// %%
string Name(FocusToken token) => token.IsStart ? "(start)" : token.Text.Trim();
foreach (FocusToken token in report.Tokens.OrderByDescending(token => report.Focus[token.Index]).Take(5))
    Console.WriteLine($"{Name(token),-12} focus {report.Focus[token.Index]:0.00}, surprise {token.Surprisal:0.0} bits");

// %%
var plot = new Plot();
plot.Add.Bars(report.Focus.Select(focus => (double)focus).ToArray());
plot.Axes.Bottom.SetTicks(report.Tokens.Select(token => (double)token.Index).ToArray(), report.Tokens.Select(Name).ToArray());
plot.Axes.Bottom.TickLabelStyle.Rotation = 60;
plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.MiddleLeft;
plot.Axes.Bottom.MinimumSize = 80;
plot.YLabel("focus");
display(plot);

// %% [markdown]
// ## A head
//
// Layers near the text have short windows, and the last layer sees all of it. These are the shares of the text's last position, which
// together are 1.

// %%
double[] shares = report.GetShares(layer: report.LayerCount - 1, head: 0, position: report.Tokens.Count - 1);
foreach (FocusToken token in report.Tokens.OrderByDescending(token => shares[token.Index]).Take(5))
    Console.WriteLine($"{Name(token),-12} {shares[token.Index]:P0}");

// %% [markdown]
// ## While it writes
//
// With a prompt, only the positions count from which the continuation is predicted.

// %%
string prompt = "Gets the number of";
string continuation = model.Generate(prompt, new GenerationOptions { MaximumNewTokens = 12, Temperature = 0.7, TopK = 40, Seed = 1 });
Console.WriteLine(prompt + continuation);
FocusReport written = model.Explain(prompt, continuation);
display(written);
