using System.CommandLine;

namespace Leap.Tool;

/// <summary>The arguments and options of a command that reads rows of text out of files.</summary>
internal sealed class RowOptions
{
    private readonly Argument<string[]> _files = new("FILE")
    {
        Description = "Files of text, CSV, TSV, JSON Lines or Parquet, also compressed by gzip (.gz); patterns with * and **; - for standard input.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> _column = new("--column", "--field")
    {
        Description = "The column, or the field of JSON, that holds the text; without it 'text', or the only one.",
        HelpName = "NAME",
    };

    private readonly Option<RowFormat?> _format = new("--format")
    {
        Description = "How the files are laid out: text (each line is a text), document (each file is one), csv, tsv, jsonl or parquet; without it by the "
            + "names' ends, and text where those say nothing.",
        HelpName = "FORMAT",
    };

    private readonly Option<bool> _document = new("--document") { Description = "Each file is one text: the same as --format document." };

    private readonly Option<string?> _encoding = new("--encoding")
    {
        Description = "The encoding of text, CSV and TSV files; UTF-8 without it.",
        HelpName = "NAME",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_files);
        command.Add(_column);
        command.Add(_format);
        command.Add(_document);
        command.Add(_encoding);
    }

    /// <summary>Makes the reader that a command line asks for.</summary>
    public RowReader Open(ParseResult parsed) => Open(parsed, parsed.GetRequiredValue(_files));

    /// <summary>Makes the same reader of other files.</summary>
    public RowReader Open(ParseResult parsed, string[] files)
    {
        RowFormat? format = parsed.GetValue(_document) ? RowFormat.Document : parsed.GetValue(_format);
        if (parsed.GetValue(_document) && parsed.GetValue(_format) is not (null or RowFormat.Document))
            throw new UsageException("--document and --format contradict each other.");
        return new RowReader(
            InputFile.Find(files, format), new TextField(parsed.GetValue(_column)), RowReader.FindEncoding(parsed.GetValue(_encoding)));
    }
}

/// <summary>The argument and options of a command that uses a model.</summary>
internal sealed class ModelOptions
{
    private readonly Argument<string> _path = new("MODEL") { Description = "The model: a zip that 'leap train' or ML.NET wrote, or a folder." };

    private readonly Option<int?> _threads = new("--threads") { Description = "The most threads to compute with; as many as there are processors without it.", HelpName = "N" };

    private readonly Option<WeightFormat> _weights = new("--weights")
    {
        Description = "How weights are held in memory: float32 (exact, the default), bfloat16 (half of the memory) or int8 (a quarter).",
        HelpName = "FORMAT",
    };

    private readonly Option<bool> _noMemory = new("--no-memory") { Description = "Uses the network alone, without the n-grams counted in training." };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_path);
        command.Add(_threads);
        command.Add(_weights);
        command.Add(_noMemory);
    }

    /// <summary>Gives the model's path.</summary>
    public string GetPath(ParseResult parsed) => parsed.GetRequiredValue(_path);

    /// <summary>Loads the model; the caller disposes it.</summary>
    public LeapLanguageModel Load(ParseResult parsed) => LeapLanguageModel.Load(
        GetPath(parsed),
        new LeapLanguageModelOptions
        {
            ThreadCount = parsed.GetValue(_threads),
            WeightFormat = parsed.GetValue(_weights),
            UseMemory = !parsed.GetValue(_noMemory),
        });
}
