using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;
using Spectre.Console;

// Trains a language model on the .NET documentation of the SDK at hand, or on a text file given as argument (one document a line), compares
// it with a unigram model and with gzip, continues three prompts, and saves and reloads it.

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
IDataView trainingData = Rows(mlContext, training);
IDataView validationData = Rows(mlContext, validation);

LeapLanguageModelTransformer model = AnsiConsole.Progress()
    .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
    .Start(context =>
    {
        ProgressTask task = context.AddTask("learning the tokenizer");
        return mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize: 4096),
            ContextLength = 256,
            BatchSize = 8,
            Epochs = 1,
            Dropout = 0,
            LearningRate = 2e-3,
            Progress = progress =>
            {
                task.MaxValue = progress.StepCount;
                task.Value = progress.Step;
                task.Description = $"step {progress.Step}/{progress.StepCount}  loss {progress.Loss:0.00}  {progress.TokensPerSecond:0} tokens/s";
            },
        }).Fit(trainingData);
    });

IDataView scored = model.Transform(validationData);
LanguageModelMetrics metrics = mlContext.Leap().Evaluate(scored);
double unigram = Baselines.UnigramPerplexity(training, validation, model.Tokenizer);
double gzip = Baselines.GzipBitsPerByte(validation);
AnsiConsole.WriteLine($"The model's validation perplexity is {metrics.Perplexity:0.0} a token; a unigram model's is {unigram:0.0}.");
AnsiConsole.WriteLine($"It needs {metrics.BitsPerByte:0.00} bits per byte; gzip needs {gzip:0.00}.");

string[] prompts = args.Length == 1
    ? [.. validation.Take(3).Select(text => string.Join(' ', text.Split(' ').Take(4)))]
    : ["Gets the number of", "Returns a new string in which", "The exception that is thrown when"];
foreach (string prompt in prompts)
{
    string continuation = model.Generate(prompt, new GenerationOptions { MaximumNewTokens = 40, Temperature = 0.7, TopK = 40, Seed = 1 });
    AnsiConsole.MarkupLineInterpolated($"[bold]{prompt}[/]{continuation}");
}

string path = Path.Combine(Path.GetTempPath(), "quickstart.leap.zip");
mlContext.Model.Save(model, validationData.Schema, path);
var freshContext = new MLContext();
ITransformer reloaded = freshContext.Model.Load(path, out _);
bool agrees = Scores(mlContext, scored).SequenceEqual(Scores(freshContext, reloaded.Transform(Rows(freshContext, validation))));
AnsiConsole.WriteLine($"Saved to {path} ({new FileInfo(path).Length / 1e6:0.0} MB) and loaded into a fresh MLContext.");
(reloaded as IDisposable)?.Dispose();
model.Dispose();

Console.WriteLine(
    $"quickstart: perplexity {metrics.Perplexity:0.00}, unigram {unigram:0.00}, bits per byte {metrics.BitsPerByte:0.000}, gzip {gzip:0.000}, " +
    $"reloaded {(agrees ? "OK" : "DIFFERENT")}");
return agrees ? 0 : 1;

static IDataView Rows(MLContext context, string[] texts) =>
    context.Data.LoadFromEnumerable(texts.Select(text => new Document { Text = text }));

static IEnumerable<float> Scores(MLContext context, IDataView scored) =>
    context.Data.CreateEnumerable<Score>(scored, reuseRowObject: false).Select(row => row.LogLikelihood);

// What can be learned in a few minutes on two cores.
static string[] Budget(string[] texts, long characters)
{
    long sum = 0;
    return [.. texts.TakeWhile(text => (sum += text.Length) <= characters)];
}
