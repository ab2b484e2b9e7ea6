using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Parquet.Schema;

namespace Leap.Tool;

/// <summary><c>leap score</c>: the rows of files, with how well a model predicts each.</summary>
internal static class ScoreCommand
{
    // As many as the model scores at a time.
    private const int RowsAtOnce = 512;

    private static readonly string[] AddedNames = ["LogLikelihood", "TokenCount", "Perplexity"];

    public static Command Create()
    {
        var command = new Command(
            "score",
            """
            Writes the rows of files with three fields added: LogLikelihood (nats), TokenCount and Perplexity, which is high where a text is strange.

            Examples:
              leap score model.zip messages.txt
              leap score model.zip support.csv --column message -o scored.csv
              leap score model.zip 'logs/**/*.gz' --top 20
              leap score model.zip big.jsonl -o scored.jsonl --shard 3/16
            """);
        var model = new ModelOptions();
        var rows = new RowOptions();
        var output = new Option<string?>("--output", "-o") { Description = "The file to write; standard output without it.", HelpName = "FILE" };
        var to = new Option<RowFormat?>("--to")
        {
            Description = "The format to write: csv, tsv, jsonl or parquet; without it by the output's name, then as the input, and TSV for lines of text.",
            HelpName = "FORMAT",
        };
        var json = new Option<bool>("--json") { Description = "Writes JSON Lines: the same as --to jsonl." };
        var top = new Option<int?>("--top") { Description = "Writes the N rows of the highest perplexity alone, the highest first.", HelpName = "N" };
        var shard = new Option<string?>("--shard")
        {
            Description = "Reads the i-th of n parts of the input alone, and writes FILE-0000i-of-0000n, unless that is there already. The n files one after another "
                + "are what one run would write.",
            HelpName = "i/n",
        };
        var prefix = new Option<string>("--prefix") { Description = "What the names of the added fields begin with.", HelpName = "TEXT", DefaultValueFactory = _ => "" };
        model.AddTo(command);
        rows.AddTo(command);
        foreach (Option option in (Option[])[output, to, json, top, shard, prefix])
            command.Add(option);
        command.SetAction((parsed, cancellationToken) => Task.Run(
            () =>
            {
                var job = new ScoreJob(
                    rows.Open(parsed),
                    model.GetPath(parsed),
                    parsed.GetValue(output),
                    parsed.GetValue(json) ? RowFormat.Jsonl : parsed.GetValue(to),
                    parsed.GetValue(top),
                    parsed.GetValue(shard) is string text ? Shard.Parse(text) : null,
                    [.. AddedNames.Select(name => parsed.GetValue(prefix) + name)]);
                job.Run(() => model.Load(parsed), parsed.InvocationConfiguration, cancellationToken);
            },
            CancellationToken.None));
        return command;
    }

    private sealed record ScoreJob(RowReader Reader, string ModelPath, string? Output, RowFormat? AskedFormat, int? Top, Shard? Shard, string[] AddedNames)
    {
        private RowFormat Format => AskedFormat ?? (Output is null ? null : InputFile.TellFormat(Output))
            ?? (Reader.Files[0].Format is RowFormat.Text or RowFormat.Document ? RowFormat.Tsv : Reader.Files[0].Format);

        public void Run(Func<LeapLanguageModel> load, InvocationConfiguration console, CancellationToken cancellationToken)
        {
            RequireValid();
            foreach (InputFile file in Reader.Files.Where(file => file.Format == RowFormat.Parquet))
            {
                foreach (string column in ParquetRows.FindNestedColumns(file))
                    console.Error.WriteLine($"{file.Name}: the column '{column}' is nested, and is left out.");
            }

            string? path = Output is not null && Shard is not null ? Shard.NameFile(Output) : Output;
            if (Shard is not null && File.Exists(path))
            {
                console.Error.WriteLine($"{path} is there already.");
                return;
            }

            if (path is not null)
            {
                OutputPath.RequireFile(path);
                OutputPath.RequireOther(path, ModelPath, Reader.Files);
            }

            using LeapLanguageModel model = load();
            if (path is null)
            {
                using RowWriter writer = Open(console.Output, null);
                Write(model, writer, console.Error, cancellationToken);
                console.Output.Flush();
                return;
            }

            using OutputFile file2 = OutputFile.Create(path);
            using (RowWriter writer = Open(file2.Text, file2.Stream))
                Write(model, writer, console.Error, cancellationToken);
            file2.Complete();
        }

        private void RequireValid()
        {
            if (Top < 1)
                throw new UsageException($"--top must be at least 1, but is {Top}.");
            if (Top is not null && Shard is not null)
                throw new UsageException("--top and --shard do not go together: the strangest rows are those of all shards.");
            if (Shard is not null && Output is null)
                throw new UsageException("--shard needs --output: it writes a file of its own name.");
            if (Format is RowFormat.Text or RowFormat.Document)
                throw new UsageException("Scored rows cannot be plain text: write csv, tsv, jsonl or parquet.");
            if (Format == RowFormat.Parquet && Output is null)
                throw new UsageException("Parquet needs --output: it is no text.");
            if (Format == RowFormat.Parquet && Shard is not null && Reader.Files.FirstOrDefault(file => file.Format != RowFormat.Parquet) is InputFile other)
            {
                throw new UsageException(
                    $"Shards in Parquet need columns of the same types, which {other.Name} does not tell: write jsonl or csv, or give Parquet.");
            }
        }

        private RowWriter Open(TextWriter text, Stream? stream) => Format switch
        {
            RowFormat.Csv => new DelimitedRows.Writer(text, ',', writesHeader: Shard is null or { Index: 1 }),
            RowFormat.Tsv => new DelimitedRows.Writer(text, '\t', writesHeader: Shard is null or { Index: 1 }),
            RowFormat.Jsonl => new JsonRows.Writer(text),
            _ => new ParquetRows.Writer(stream!, Reader.Files[0].Format == RowFormat.Parquet ? [.. ParquetRows.FindColumns(Reader.Files[0]), .. AddedColumns] : []),
        };

        private DataField[] AddedColumns =>
            [new DataField(AddedNames[0], typeof(double), true), new DataField(AddedNames[1], typeof(int), true), new DataField(AddedNames[2], typeof(double), true)];

        private void Write(LeapLanguageModel model, RowWriter writer, TextWriter error, CancellationToken cancellationToken)
        {
            var watch = Stopwatch.StartNew();
            long count = 0, tokens = 0;
            var strangest = new PriorityQueue<Row, (double Perplexity, long)>();
            foreach (Row[] chunk in Reader.Read(Shard).Chunk(RowsAtOnce))
            {
                cancellationToken.ThrowIfCancellationRequested();
                foreach ((Row row, TextScore score) in chunk.Zip(model.ScoreAll(chunk.Select(row => row.Text ?? ""))))
                {
                    count++;
                    tokens += score.TokenCount;
                    Row scored = Add(row, score);
                    if (Top is not int most)
                    {
                        writer.Write(scored);
                        continue;
                    }

                    if (score.TokenCount == 0)
                        continue;
                    strangest.Enqueue(scored with { Fields = [.. scored.Fields] }, (score.Perplexity, -count));
                    if (strangest.Count > most)
                        strangest.Dequeue();
                }
            }

            List<Row> kept = [];
            while (strangest.TryDequeue(out Row? row, out _))
                kept.Add(row);
            foreach (Row row in Enumerable.Reverse(kept))
                writer.Write(row);
            writer.Complete();
            double seconds = watch.Elapsed.TotalSeconds;
            error.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{count:N0} rows, {tokens:N0} tokens in {seconds:0.0} s: {count / seconds:N0} rows/s, {tokens / seconds:N0} tokens/s."));
        }

        private Row Add(Row row, TextScore score)
        {
            KeyValuePair<string, object?>[] fields = [.. row.Fields];
            foreach ((string name, _) in fields)
            {
                if (AddedNames.Contains(name))
                    throw new UsageException($"The rows have a field '{name}' already: give the added ones another name, for example with --prefix Leap.");
            }

            return row with
            {
                Fields =
                [
                    .. fields,
                    new(AddedNames[0], score.TokenCount == 0 ? null : score.LogLikelihood),
                    new(AddedNames[1], score.TokenCount),
                    new(AddedNames[2], score.TokenCount == 0 ? null : score.Perplexity),
                ],
            };
        }
    }
}
