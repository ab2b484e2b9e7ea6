#:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
#:project ../../benchmarks/Microsoft.ML.Leap.Benchmarks/Microsoft.ML.Leap.Benchmarks.csproj
#:package ScottPlot
#:property PublishAot=false

// %% [markdown]
// # LEAP against GPT-2
//
// The experiment of the Python original: two networks of the same size, one with LEAP's attention and one with GPT-2's, trained alike on
// WikiText-2. Here both have the same trainer, loss, optimizer and precision; the baseline is part of this repository's benchmarks, so
// build the repository first (`./build.sh build`).
//
// As it stands, this runs in minutes, on a small stand-in: .NET documentation in the form of WikiText-2. For the original's experiment
// give the folder of the word-level `wiki.train.tokens` and `wiki.valid.tokens`, T5's `spiece.model`, and its settings: a context of 2048
// and 25 epochs. That takes hours on two cores; [docs/training.md](../../docs/training.md) has what was measured.

// %%
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Xml.Linq;
using Microsoft.ML.Leap;
using Microsoft.ML.Leap.Benchmarks;
using ScottPlot;

// %% [notebook]
// using Microsoft.DotNet.Interactive.Formatting;
// Formatter.Register<Plot>(plot => plot.GetSvgXml(640, 320), "image/svg+xml");
// Formatter.SetPreferredMimeTypesFor(typeof(Plot), "image/svg+xml");

// %% [parameters]
string dataFolder = "";          // of wiki.train.tokens and wiki.valid.tokens, plain or with .gz; empty for the documentation
string tokenizerFile = "";       // T5's spiece.model; empty for a tokenizer learned from the texts
int documentationTexts = 6_000;
int vocabularySize = 2048;       // of a learned tokenizer
int contextLength = 256;         // the original: 2048
int layerCount = 6;
int epochs = 2;                  // the original: 25

// %% [markdown]
// ## Data

// %%
string folder = dataFolder;
if (folder == "")
{
    string packs = Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref");
    string[] texts = Directory.EnumerateFiles(packs, "*.xml", SearchOption.AllDirectories).Order()
        .SelectMany(file => XDocument.Load(file).Descendants("summary"))
        .Where(summary => !summary.HasElements)
        .Select(summary => string.Join(' ', summary.Value.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)))
        .Where(text => text.Length > 40).Distinct().ToArray();
    new Random(1).Shuffle(texts);
    texts = texts.Take(documentationTexts).ToArray();

    folder = Directory.CreateTempSubdirectory("leap-samples").FullName;
    File.WriteAllLines(Path.Combine(folder, "wiki.train.tokens"), texts.Skip(texts.Length / 10));
    File.WriteAllLines(Path.Combine(folder, "wiki.valid.tokens"), texts.Take(texts.Length / 10));
}
TokenizerOptions tokenizer = tokenizerFile == ""
    ? TokenizerOptions.ByteLevelBpe(vocabularySize)
    : TokenizerOptions.SentencePiece(tokenizerFile);

// %% [markdown]
// ## Training both
//
// One line per epoch. The loss is over all validation tokens, in nats; perplexity is its exponential.

// %%
Wikitext2Report Train(string model)
{
    Wikitext2Report report = Wikitext2Comparison.Train(
        model, folder, tokenizer, vocabulary => new LeapConfig(vocabulary, contextLength: contextLength, layerCount: layerCount), epochs);
    Console.WriteLine($"{model}: {report.Parameters} parameters, {report.TrainBlocks} blocks of {contextLength} tokens");
    for (int epoch = 0; epoch < epochs; epoch++)
    {
        double loss = report.ValidationLoss[epoch];
        Console.WriteLine($"  epoch {epoch + 1}: validation loss {loss:0.000}, perplexity {Math.Exp(loss):0.0}");
    }
    return report;
}

Wikitext2Report leap = Train("leap");

// %%
Wikitext2Report gpt2 = Train("gpt2");

// %% [markdown]
// ## Beside each other

// %%
var plot = new Plot();
foreach (Wikitext2Report report in new[] { leap, gpt2 })
{
    var line = plot.Add.Scatter(Enumerable.Range(1, epochs).Select(epoch => (double)epoch).ToArray(), report.ValidationLoss.ToArray());
    line.LegendText = report.Model;
}
plot.XLabel("epoch");
plot.YLabel("validation loss, nats per token");
plot.ShowLegend(Alignment.UpperRight);
display(plot);

// %%
foreach (Wikitext2Report report in new[] { leap, gpt2 })
    Console.WriteLine($"{report.Model}: perplexity {Math.Exp(report.ValidationLoss[^1]):0.0}, {report.TokensPerSecond:0} tokens per second in {report.Precision}");

// %% [markdown]
// In single sentences, which is what the stand-in holds, GPT-2's attention learns more from each step, and LEAP's costs less. The articles
// of WikiText-2, in a context of 2,048 tokens, are another matter: there LEAP is ahead after the first epoch
// ([docs/training.md](../../docs/training.md)). And LEAP's cost per token does not grow with the context, where GPT-2's does.

// %%
if (dataFolder == "")
    Directory.Delete(folder, recursive: true);
