using System.Globalization;
using Microsoft.ML.Leap;

// Scores documents, one per line, with a saved model. `dotnet publish` makes a native executable of it: docs/native.md.

const string Usage = """
    usage: NativeScore MODEL [FILE...]

    Scores each line of the files as a document: how well the model predicts it.
    MODEL is a zip that mlContext.Model.Save wrote, or a model's folder. Without a FILE, or for -, the lines come from standard input.
    Prints per line, with tabs between: perplexity per token, log-likelihood in nats, number of tokens. A line without tokens has NaN.
    """;

if (args is ["--help" or "-h"])
{
    Console.WriteLine(Usage);
    return 0;
}

if (args.Length == 0 || args.Any(argument => argument.Length == 0 || (argument[0] == '-' && argument != "-")))
{
    Console.Error.WriteLine(Usage);
    return 2;
}

try
{
    // First: who misspelt a name need not wait for the model.
    string[] files = args.Length == 1 ? ["-"] : args[1..];
    if (files.FirstOrDefault(file => file != "-" && !File.Exists(file)) is { } missing)
        throw new FileNotFoundException($"There is no file '{missing}' to read documents from.");

    using LeapLanguageModel model = LeapLanguageModel.Load(args[0]);
    using var output = new StreamWriter(Console.OpenStandardOutput());
    foreach (TextScore score in model.ScoreAll(files.SelectMany(ReadLines)))
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{score.Perplexity}\t{score.LogLikelihood}\t{score.TokenCount}"));
    return 0;
}
catch (Exception fault) when (fault is IOException or FormatException or InvalidOperationException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"NativeScore: {fault.Message}");
    return 1;
}

static IEnumerable<string> ReadLines(string file)
{
    using var reader = new StreamReader(file == "-" ? Console.OpenStandardInput() : File.OpenRead(file));
    while (reader.ReadLine() is { } line)
        yield return line;
}
