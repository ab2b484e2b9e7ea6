using System.Runtime.InteropServices;
using System.Xml.Linq;
using Microsoft.ML;
using Microsoft.ML.Leap;

string packs = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref"));
string file = Directory.EnumerateFiles(packs, "System.Runtime.xml", SearchOption.AllDirectories).First();
string[] texts = XDocument.Load(file).Descendants("summary")
    .Select(summary => string.Join(' ', summary.Value.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)))
    .Where(text => text.Length > 40).Distinct().Take(6000).ToArray();
Console.WriteLine($"{texts.Length} texts of {texts.Sum(text => text.Length)} characters");

var mlContext = new MLContext(seed: 1);
var data = mlContext.Data.LoadFromEnumerable(texts.Select(text => new { Text = text }));
var model = mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
{
    Tokenizer = TokenizerOptions.ByteLevelBpe(vocabularySize: 2048),
    ContextLength = 128,
    Epochs = 2,
    Dropout = 0,
    LearningRate = 2e-3,
}).Fit(data);
Console.WriteLine($"loss {model.History.Records[^1].TrainingLoss:0.00} nats a token");

FocusReport report = model.Explain("Returns a value that indicates whether this instance is equal to a specified object.");
report.SaveHtml("focus.html");
foreach (FocusToken token in report.Tokens.Skip(1).OrderByDescending(token => report.Focus[token.Index]).Take(5))
    Console.WriteLine($"{token.Text,-12} focus {report.Focus[token.Index]:0.00}, surprise {token.Surprise:0.0} bits");

string prompt = "Gets the number of";
string continuation = model.Generate(prompt, new GenerationOptions { MaximumNewTokens = 12, Temperature = 0.7, TopK = 40, Seed = 1 });
FocusReport written = model.Explain(prompt, continuation);
written.SaveHtml("continuation.html");
Console.WriteLine(written.Text);
