using System.CommandLine;
using System.Globalization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "wikitext2": the protocol of the Python original's notebook, with LEAP or with GPT-2.</summary>
internal static class Wikitext2Command
{
    private const int VocabularySize = 32_100;

    public static System.CommandLine.Command Create()
    {
        var data = new Option<DirectoryInfo>("--data")
        {
            Description = "Folder of wiki.train.tokens and wiki.valid.tokens, each plain or with .gz",
            Required = true,
        };
        data.AcceptExistingOnly();
        var tokenizer = new Option<FileInfo>("--tokenizer") { Description = "T5's spiece.model", Required = true };
        tokenizer.AcceptExistingOnly();
        var test = new Option<FileInfo>("--test") { Description = "wiki.test.tokens, plain or with .gz, to be measured at the end" };
        test.AcceptExistingOnly();
        Option<int> epochs = PositiveOption.Create("--epochs", "Epochs that the learning rate falls to zero over", 25);
        Option<int?> stopAfter = PositiveOption.Checked(new Option<int?>("--stop-after") { Description = "Epochs to run of them; all by default" });
        var checkpoint = new Option<string?>("--checkpoint") { Description = "Folder of checkpoints; the run goes on from the latest" };
        var seed = new Option<int>("--seed") { Description = "Decides weights, order and dropout", DefaultValueFactory = _ => 1 };
        var json = new Option<string?>("--json") { Description = "File for the result" };
        Option<string> model = ModelChoice.CreateOption();
        Option<string?> device = ModelChoice.CreateDeviceOption();
        Option<TrainingPrecision> precision = PrecisionChoice.CreateOption(TrainingPrecision.Auto);
        var command = new System.CommandLine.Command("wikitext2", "Train on WikiText-2 by the protocol of the Python original.")
        {
            data, tokenizer, epochs, stopAfter, model, test, checkpoint, seed, device, precision, json,
        };
        command.SetAction(result => ReadableErrors.Run(() => Run(
            new Wikitext2Settings
            {
                Folder = result.GetRequiredValue(data).FullName,
                TestFile = result.GetValue(test)?.FullName,
                Tokenizer = LoadTokenizer(result.GetRequiredValue(tokenizer).FullName),
                Model = result.GetRequiredValue(model),
                Device = DeviceSelector.Select(result.GetValue(device), null, fallbackToCpu: false, Console.WriteLine),
                Precision = result.GetValue(precision),
                Epochs = result.GetValue(epochs),
                StopAfter = result.GetValue(stopAfter),
                CheckpointFolder = result.GetValue(checkpoint),
                Seed = result.GetValue(seed),
            },
            result.GetValue(json))));
        return command;
    }

    private static void Run(Wikitext2Settings settings, string? json)
    {
        Wikitext2Report report = Wikitext2Run.Run(settings, new ConsoleProgress().Report, Console.WriteLine);
        Print(report);
        if (json is not null)
            JsonReport.Write(json, report);
    }

    private static LeapTokenizer LoadTokenizer(string path)
    {
        LeapTokenizer tokenizer = TokenizerOptions.SentencePiece(path).Create([], CancellationToken.None);
        return tokenizer.VocabularySize == VocabularySize
            ? tokenizer
            : throw new FormatException($"'{path}' has {tokenizer.VocabularySize} token ids, and T5's model {VocabularySize}: it is another one.");
    }

    private static void Print(Wikitext2Report report)
    {
        Console.WriteLine("epoch  validation loss  perplexity");
        for (int epoch = 0; epoch < report.ValidationLoss.Count; epoch++)
        {
            double loss = report.ValidationLoss[epoch];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{epoch + 1,5}  {loss,15:0.0000}  {Math.Exp(loss),10:0.00}"));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.Model}: {report.Seconds:0} s, {report.TokensPerSecond:0} tokens/s in {report.Precision} on {report.Device} with {report.Threads} threads"));
        if (report.TestPerplexity is double perplexity)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"test perplexity {perplexity:0.00} over {report.TestBlocks} blocks"));
    }
}
