#:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
#:package ScottPlot
#:property PublishAot=false

// %% [markdown]
// # Continue a text
//
// A language model says how likely each next token is. Draw one, append it, ask again: that is generation. LEAP keeps sums over what it has
// read in place of the text, so that a token costs the same however long the text has become.

// %%
using System;
using System.Collections.Generic;
using System.Diagnostics;
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
int trainingTexts = 16_000;
int vocabularySize = 2048;
int layerCount = 6;
int epochs = 2;
int tokensPerPoint = 500;      // of the measurement at the end
int points = 20;

// %% [markdown]
// ## A model
//
// As in [01-Train](01-Train.ipynb). A model has no position embeddings unless one asks for them: these end with the context that it was
// trained on, and a model without them can go on for ever.

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
// ## Continuations
//
// A temperature of 0 always takes the likeliest token; a higher one is more varied, and makes more mistakes. `TopK` leaves only the
// likeliest tokens to choose from. The same seed gives the same text.

// %%
string[] prompts = ["Gets the number of", "Returns a value that indicates whether", "The exception that is thrown when"];
foreach (double temperature in new[] { 0, 0.7 })
{
    var options = new GenerationOptions { MaximumNewTokens = 20, Temperature = temperature, TopK = 40, Seed = 1 };
    Console.WriteLine($"temperature {temperature}");
    foreach (string prompt in prompts)
        Console.WriteLine($"  {prompt} ...{model.Generate(prompt, options)}");
}

// %% [markdown]
// ## As it is written
//
// Pieces of text come as soon as they are sure: this is what a chat shows.

// %%
Console.Write("Specifies");
await foreach (string piece in model.GenerateTextAsync("Specifies", new GenerationOptions { MaximumNewTokens = 30, TopK = 40, Seed = 4 }))
    Console.Write(piece);
Console.WriteLine();

// %% [markdown]
// ## Sure and unsure
//
// Each token comes with its probability and, if asked for, with what else was likely.

// %%
GenerationResult result = model.Complete("Gets a value that", new GenerationOptions { MaximumNewTokens = 8, Temperature = 0, LogProbabilityCount = 3 });
foreach (GeneratedToken token in result.Tokens)
{
    var likeliest = token.Alternatives.Select(other => $"'{other.Text}' {Math.Exp(other.LogProbability):0.00}");
    Console.WriteLine($"{token.Text,-12} {Math.Exp(token.LogProbability):0.00}   likeliest: {string.Join(", ", likeliest)}");
}

// %% [markdown]
// ## What a token costs
//
// One text, written on and on. Attention over pairs of tokens, as in GPT-2, gets slower with each token and keeps all of them in memory.
// Here speed and state stay as they are: the state is a few sums for each layer.

// %%
var endless = new GenerationOptions { MaximumNewTokens = tokensPerPoint, MinimumNewTokens = tokensPerPoint, TopK = 40, Seed = 1 };
var state = model.CreateGenerationState("Gets the", PositionPolicy.Throw);
// The first tokens take longer: the runtime is still compiling the code for them.
int first = 6 * tokensPerPoint;
model.Continue(state, endless with { MaximumNewTokens = first, MinimumNewTokens = first });
List<double> lengths = [];
List<double> tokensPerSecond = [];
long stateSize = state.SizeInBytes;
for (int point = 0; point < points; point++)
{
    var watch = Stopwatch.StartNew();
    model.Continue(state, endless);
    lengths.Add(state.TokenCount);
    tokensPerSecond.Add(tokensPerPoint / watch.Elapsed.TotalSeconds);
}
Console.WriteLine($"after {lengths[0]:0} tokens: a state of {stateSize} bytes; after {lengths[^1]:0}: {state.SizeInBytes} bytes");

// %%
var plot = new Plot();
plot.Add.Scatter(lengths, tokensPerSecond);
plot.Axes.SetLimitsY(0, tokensPerSecond.Max() * 1.2);
plot.XLabel("length of the text, tokens");
plot.YLabel("tokens per second");
display(plot);

// %%
state.Dispose();
