using System.Globalization;
using System.Text;
using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;
using Spectre.Console;

// Trains a language model, with nothing set, on the .NET documentation of the SDK at hand, or on a text file given as argument (one document
// per line); compares it with a counted 5-gram and with compressors, says who won, continues three prompts, and saves and reloads it.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args.Length > 1)
{
    Console.Error.WriteLine("usage: quickstart [TEXT-FILE]");
    return 2;
}

string[] documents = args.Length == 1
    ? [.. File.ReadLines(args[0]).Where(line => !string.IsNullOrWhiteSpace(line))]
    : [.. DocumentationCorpus.Read()];
new Random(1).Shuffle(documents);
int validationCount = Math.Clamp(documents.Length / 50, 1, 1000);
if (documents.Length < 100)
{
    Console.Error.WriteLine($"quickstart: {documents.Length} documents are too few to learn from; give a file with at least 100 lines of text.");
    return 1;
}

string[] validation = documents[..validationCount];
string[] training = Budget(documents[validationCount..], characters: 3_000_000);
AnsiConsole.MarkupLineInterpolated(
    $"[bold]{training.Length:N0}[/] training texts of {training.Sum(text => (long)text.Length):N0} characters, {validation.Length:N0} validation texts.");

var mlContext = new MLContext(seed: 1);
mlContext.Log += (_, e) =>
{
    if (e.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning || e.Message.Contains("will take", StringComparison.Ordinal))
        AnsiConsole.WriteLine(e.RawMessage);
};
IDataView trainingData = Rows(mlContext, training);
IDataView validationData = Rows(mlContext, validation);

LeapLanguageModelTransformer model = AnsiConsole.Progress()
    .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
    .Start(context =>
    {
        ProgressTask task = context.AddTask("learning the tokenizer");
        return mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            // Enough to see what it can do; without it the training takes what the amount of text suggests.
            TimeBudget = TimeSpan.FromMinutes(2),
            Progress = progress =>
            {
                task.MaxValue = progress.StepCount;
                task.Value = progress.Step;
                task.Description = $"step {progress.Step}/{progress.StepCount}  loss {progress.Loss:0.00}  {progress.TokensPerSecond:0} tokens/s";
            },
        }).Fit(trainingData);
    });
AnsiConsole.WriteLine($"Chosen for {model.Recipe}.");

IDataView scored = model.Transform(validationData);
LanguageModelMetrics metrics = mlContext.Leap().Evaluate(scored);
var fiveGram = new NGramModel(order: 5, model.Tokenizer.VocabularySize);
foreach (string text in training)
    fiveGram.Add(model.Tokenizer.Encode(text));
double fiveGramLoss = -validation.Sum(text => fiveGram.LogLikelihood(model.Tokenizer.Encode(text)));
double validationBytes = validation.Sum(text => (double)Encoding.UTF8.GetByteCount(text));
double? xz = Compressor.BitsPerByte(training, validation, Compressor.Xz);
double? ppmd = new[] { 8, 16 }.Min(order => Compressor.BitsPerByte(training, validation, Compressor.Ppmd(order)));

AnsiConsole.WriteLine($"Perplexity per token of the validation texts: {metrics.Perplexity:0.0} for the model, {Math.Exp(fiveGramLoss / metrics.TokenCount):0.0} for a 5-gram, " +
    $"{metrics.BigramPerplexity:0.0} for a bigram, {metrics.UnigramPerplexity:0.0} for a unigram.");
(string Name, double? Bits)[] contestants =
[
    ("LEAP", metrics.BitsPerByte), ("the 5-gram", fiveGramLoss / Math.Log(2) / validationBytes), ("xz", xz), ("PPMd", ppmd),
];
(string Name, double? Bits)[] ranked = [.. contestants.Where(contestant => contestant.Bits is not null).OrderBy(contestant => contestant.Bits)];
AnsiConsole.WriteLine($"{Capital(ranked[0].Name)} predicts them best. Bits per byte: {string.Join(", ", ranked.Select(contestant => $"{contestant.Name} {contestant.Bits:0.000}"))}.");

string[] prompts = args.Length == 1
    ? [.. validation.Take(3).Select(text => string.Join(' ', text.Split(' ').Take(4)))]
    : ["Gets the number of", "Returns a new string in which", "The exception that is thrown when"];
foreach (string prompt in prompts)
{
    string continuation = model.Generate(prompt, new GenerationOptions { MaximumNewTokens = 40, Temperature = 0.7, TopK = 40, Seed = 1 });
    AnsiConsole.MarkupLineInterpolated($"[bold]{prompt}[/]{continuation}");
}

string path = Path.Combine(Path.GetTempPath(), "quickstart.leap.zip");
mlContext.Leap().Save(model, validationData.Schema, path);
var freshContext = new MLContext();
ITransformer reloaded = freshContext.Model.Load(path, out _);
bool agrees = Scores(mlContext, scored).SequenceEqual(Scores(freshContext, reloaded.Transform(Rows(freshContext, validation))));
AnsiConsole.WriteLine($"Saved to {path} ({new FileInfo(path).Length / 1e6:0.0} MB) and loaded into a fresh MLContext.");
(reloaded as IDisposable)?.Dispose();
model.Dispose();

Console.WriteLine(
    $"quickstart: perplexity {metrics.Perplexity:0.00}, 5-gram {Math.Exp(fiveGramLoss / metrics.TokenCount):0.00}, bits per byte {metrics.BitsPerByte:0.000}, " +
    $"xz {Figure(xz)}, ppmd {Figure(ppmd)}, reloaded {(agrees ? "OK" : "DIFFERENT")}");
return agrees ? 0 : 1;

static IDataView Rows(MLContext context, string[] texts) =>
    context.Data.LoadFromEnumerable(texts.Select(text => new Document { Text = text }));

static IEnumerable<float> Scores(MLContext context, IDataView scored) =>
    context.Data.CreateEnumerable<Score>(scored, reuseRowObject: false).Select(row => row.LogLikelihood);

// Of the documentation, about as much as two minutes on two cores can read twice.
static string[] Budget(string[] texts, long characters)
{
    long sum = 0;
    return [.. texts.TakeWhile(text => (sum += text.Length) <= characters)];
}

static string Figure(double? bitsPerByte) => bitsPerByte?.ToString("0.000", CultureInfo.InvariantCulture) ?? "none";

static string Capital(string name) => char.ToUpperInvariant(name[0]) + name[1..];
