using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using QuickStart;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "recipes": models of one text, trained with nothing set, beside what a user could take instead.</summary>
internal static class RecipesCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new Option<FileInfo>("--data")
        {
            Description = "Text in UTF-8, a document per line; unpacked where its name ends with .gz",
            Required = true,
        };
        data.AcceptExistingOnly();
        Option<int?> train = PositiveOption.Checked(new Option<int?>("--train") { Description = "Rows to train on; by default all that are not held out" });
        var seconds = new Option<double?>("--seconds") { Description = "LEAP's time budget; by default none is set" };
        seconds.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is double value && !(value > 0 && double.IsFinite(value)))
                result.AddError("--seconds must be over 0 and finite.");
        });
        var leapOnly = new Option<bool>("--leap-only") { Description = "Leave out the slow contestants: GPT-2, version 0.1 and the original's recipe" };
        var json = new Option<string?>("--json") { Description = "File for the result" };
        var command = new System.CommandLine.Command("recipes", "Compare the default with n-grams and compressors on a text.")
        {
            data, train, seconds, leapOnly, json,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            RecipesReport report = RecipesBenchmark.Run(
                HeldOutRows.Read(result.GetRequiredValue(data).FullName, result.GetValue(train)),
                result.GetValue(seconds) is double budget ? TimeSpan.FromSeconds(budget) : null,
                result.GetValue(leapOnly));
            Print(report);
            if (result.GetValue(json) is string path)
                JsonReport.Write(path, report);
        }));
        return command;
    }

    private static void Print(RecipesReport report)
    {
        AnsiConsole.MarkupLineInterpolated($"{report.TrainingRows:N0} rows of {report.TrainingBytes:N0} bytes; {report.HeldOutRows:N0} held-out rows of {report.HeldOutBytes:N0} bytes.");
        AnsiConsole.WriteLine($"LEAP chose: {report.Chosen}");
        var table = new Table().AddColumn("contestant");
        foreach (string column in (string[])["bits per byte, reading along", "each row by itself", "seconds"])
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (RecipesRow row in report.Rows.OrderBy(row => row.Reading ?? row.Each ?? double.MaxValue))
            table.AddRow(row.Name, Number(row.Reading, "0.000"), Number(row.Each, "0.000"), Number(row.Seconds, "0.0"));
        AnsiConsole.Write(table);
        RecipesRow reading = report.Rows.MinBy(row => row.Reading ?? double.MaxValue)!;
        RecipesRow each = report.Rows.MinBy(row => row.Each ?? double.MaxValue)!;
        AnsiConsole.WriteLine($"Least, reading along: {reading.Name}. Least, each row by itself: {each.Name}.");
    }

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "none";
}

/// <summary>The distinct lines of a file in an order of a fixed seed: the first ones held out, those after them to train on.</summary>
internal sealed record HeldOutRows(string[] Training, string[] HeldOut)
{
    private const int MostHeldOut = 1000;

    public long TrainingBytes => Bytes(Training);

    public long HeldOutBytes => Bytes(HeldOut);

    /// <param name="path">The file.</param>
    /// <param name="trainingRows">How many rows to train on at most; <see langword="null"/> for all.</param>
    /// <exception cref="InvalidDataException">It has too few lines.</exception>
    public static HeldOutRows Read(string path, int? trainingRows)
    {
        string[] lines = [.. TextFile.ReadLines(path).Select(line => line.TrimEnd('\r')).Where(line => !string.IsNullOrWhiteSpace(line)).Distinct(StringComparer.Ordinal)];
        if (lines.Length < 8)
            throw new InvalidDataException($"'{path}' has {lines.Length} different lines; at least 8 are needed.");
        new Random(1).Shuffle(lines);
        int heldOut = Math.Min(MostHeldOut, lines.Length / 4);
        return new HeldOutRows([.. lines.Skip(heldOut).Take(trainingRows ?? int.MaxValue)], lines[..heldOut]);
    }

    /// <summary>Gives the bits per byte of the held-out rows.</summary>
    /// <param name="scores">Theirs, in any order.</param>
    public double GetBitsPerByte(IEnumerable<TextScore> scores) => -scores.Sum(score => score.LogLikelihood) / Math.Log(2) / HeldOutBytes;

    private static long Bytes(string[] rows) => rows.Sum(row => (long)Encoding.UTF8.GetByteCount(row));
}

/// <summary>What the verb "recipes" found: bits per byte of the held-out rows, their line ends left out.</summary>
/// <remarks>They are measured in two ways. Reading along, the rows come one after another, and each is known when the next one comes: compressors do
/// that, models with a running memory and n-grams that go on counting. Names that end in Each are of each row by itself.</remarks>
internal sealed record RecipesReport
{
    public required int TrainingRows { get; init; }
    public required long TrainingBytes { get; init; }
    public required int HeldOutRows { get; init; }
    public required long HeldOutBytes { get; init; }

    public required double BitsPerByteLeap { get; init; }
    public required double BitsPerByteLeapEach { get; init; }

    /// <summary>LEAP's network without its memory, each row by itself.</summary>
    public required double BitsPerByteLeapAlone { get; init; }

    /// <summary>GPT-2 in LEAP's recipe, with a memory as LEAP has it, trained for as long.</summary>
    public double? BitsPerByteGpt2 { get; init; }

    public double? BitsPerByteGpt2Each { get; init; }
    public double? BitsPerByteGpt2Alone { get; init; }
    public double? BitsPerByteVersion01 { get; init; }
    public double? BitsPerByteVersion01Each { get; init; }
    public double? BitsPerByteOriginal { get; init; }
    public double? BitsPerByteOriginalEach { get; init; }

    /// <summary>Over <see cref="CountedTokens"/>, as the bigram and the 5-gram of tokens.</summary>
    public required double BitsPerByteUnigram { get; init; }

    public required double BitsPerByteUnigramEach { get; init; }
    public required double BitsPerByteBigram { get; init; }
    public required double BitsPerByteBigramEach { get; init; }
    public required double BitsPerByteNgramOfTokens { get; init; }
    public required double BitsPerByteNgramOfTokensEach { get; init; }
    public required double BitsPerByteNgramOfBytes { get; init; }
    public required double BitsPerByteNgramOfBytesEach { get; init; }

    /// <summary>The better of the 5-gram of tokens and the 8-gram of bytes.</summary>
    public double BitsPerByteNgram => Math.Min(BitsPerByteNgramOfTokens, BitsPerByteNgramOfBytes);

    public double BitsPerByteNgramEach => Math.Min(BitsPerByteNgramOfTokensEach, BitsPerByteNgramOfBytesEach);

    /// <summary>Null where the program is absent.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required double? BitsPerByteXz { get; init; }

    /// <summary>The better of the orders 8 and 16; null where 7z is absent.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required double? BitsPerBytePpmd { get; init; }

    /// <summary>Of the better order, each held-out row by itself after the training rows; null where these are so many that it takes too long, and where 7z is
    /// absent.</summary>
    public double? BitsPerBytePpmdEach { get; init; }

    /// <summary>Of the whole <c>Fit</c>; <see cref="SecondsLeapTraining"/> are those of its steps and evaluations.</summary>
    public required double SecondsLeap { get; init; }

    public required double SecondsLeapTraining { get; init; }

    /// <summary>Of GPT-2's steps and evaluations.</summary>
    public double? SecondsGpt2Training { get; init; }

    public double? SecondsVersion01 { get; init; }
    public double? SecondsOriginal { get; init; }
    public required TrainingRecipe Chosen { get; init; }

    [JsonIgnore]
    public IEnumerable<RecipesRow> Rows =>
    [
        new("LEAP, nothing set", BitsPerByteLeap, BitsPerByteLeapEach, SecondsLeap),
        new("LEAP's network alone", null, BitsPerByteLeapAlone, null),
        new("GPT-2 in LEAP's recipe, with a memory", BitsPerByteGpt2, BitsPerByteGpt2Each, SecondsGpt2Training),
        new("GPT-2 alone", null, BitsPerByteGpt2Alone, null),
        new("LEAP as version 0.1", BitsPerByteVersion01, BitsPerByteVersion01Each, SecondsVersion01),
        new("LEAP, the original's recipe", BitsPerByteOriginal, BitsPerByteOriginalEach, SecondsOriginal),
        new("unigram of tokens", BitsPerByteUnigram, BitsPerByteUnigramEach, null),
        new("bigram of tokens", BitsPerByteBigram, BitsPerByteBigramEach, null),
        new("5-gram of tokens", BitsPerByteNgramOfTokens, BitsPerByteNgramOfTokensEach, null),
        new("8-gram of bytes", BitsPerByteNgramOfBytes, BitsPerByteNgramOfBytesEach, null),
        new("xz -9e", BitsPerByteXz, null, null),
        new("PPMd", BitsPerBytePpmd, BitsPerBytePpmdEach, null),
    ];
}

/// <summary>A row of the table.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Reading">Bits per byte, reading along; null where that was not measured.</param>
/// <param name="Each">The same of each row by itself.</param>
/// <param name="Seconds">Of its training.</param>
internal sealed record RecipesRow(string Name, double? Reading, double? Each, double? Seconds);

/// <summary>Trains the contestants on the same rows, and scores the same held-out ones.</summary>
internal static class RecipesBenchmark
{
    // A thousand times compressed: minutes with more.
    private const long MostBytesToCompressPerRow = 500_000;

    public static RecipesReport Run(HeldOutRows rows, TimeSpan? budget, bool leapOnly)
    {
        (LeapLanguageModelTransformer model, double seconds) = Train(rows, new() { TimeBudget = budget });
        using LeapLanguageModelTransformer disposed = model;
        Scores leap = Score(rows, model);
        Gpt2Result? gpt2 = leapOnly ? null : Gpt2Rival.Measure(rows, model);
        (Scores Bits, double Seconds)? version01 = leapOnly ? null : Measure(rows, Version01());
        (Scores Bits, double Seconds)? original = leapOnly ? null : Measure(rows, Original());
        LeapTokenizer tokenizer = CountedTokens.Choose(model.Tokenizer, rows.Training);
        Scores unigram = Count(rows, new NGramModel(1, tokenizer.VocabularySize), tokenizer.Encode);
        Scores bigram = Count(rows, new NGramModel(2, tokenizer.VocabularySize), tokenizer.Encode);
        Scores ofTokens = Count(rows, new NGramModel(5, tokenizer.VocabularySize), tokenizer.Encode);
        Scores ofBytes = Count(rows, new NGramModel(8, 256), EncodeBytes);
        (double? ppmd, int ppmdOrder) = new[] { 8, 16 }.Min(order => (Compressor.BitsPerByte(rows.Training, rows.HeldOut, Compressor.Ppmd(order)), order));
        return new RecipesReport
        {
            TrainingRows = rows.Training.Length,
            TrainingBytes = rows.TrainingBytes,
            HeldOutRows = rows.HeldOut.Length,
            HeldOutBytes = rows.HeldOutBytes,
            BitsPerByteLeap = leap.Reading,
            BitsPerByteLeapEach = leap.Each,
            BitsPerByteLeapAlone = MeasureAlone(rows, model),
            SecondsLeap = seconds,
            SecondsLeapTraining = model.History.Records[^1].Elapsed.TotalSeconds,
            BitsPerByteGpt2 = gpt2?.Reading,
            BitsPerByteGpt2Each = gpt2?.Each,
            BitsPerByteGpt2Alone = gpt2?.Alone,
            SecondsGpt2Training = gpt2?.Seconds,
            BitsPerByteVersion01 = version01?.Bits.Reading,
            BitsPerByteVersion01Each = version01?.Bits.Each,
            SecondsVersion01 = version01?.Seconds,
            BitsPerByteOriginal = original?.Bits.Reading,
            BitsPerByteOriginalEach = original?.Bits.Each,
            SecondsOriginal = original?.Seconds,
            BitsPerByteUnigram = unigram.Reading,
            BitsPerByteUnigramEach = unigram.Each,
            BitsPerByteBigram = bigram.Reading,
            BitsPerByteBigramEach = bigram.Each,
            BitsPerByteNgramOfTokens = ofTokens.Reading,
            BitsPerByteNgramOfTokensEach = ofTokens.Each,
            BitsPerByteNgramOfBytes = ofBytes.Reading,
            BitsPerByteNgramOfBytesEach = ofBytes.Each,
            BitsPerByteXz = Compressor.BitsPerByte(rows.Training, rows.HeldOut, Compressor.Xz),
            BitsPerBytePpmd = ppmd,
            BitsPerBytePpmdEach = ppmd is null || rows.TrainingBytes > MostBytesToCompressPerRow ? null : Compressor.BitsPerByteEach(rows.Training, rows.HeldOut, Compressor.Ppmd(ppmdOrder)),
            Chosen = model.Recipe!,
        };
    }

    /// <summary>What version 0.1 had by default.</summary>
    private static LeapLanguageModelTrainer.Options Version01() => new()
    {
        Tokenizer = TokenizerOptions.ByteLevelBpe(8192),
        HiddenSize = 128,
        ContextLength = 256,
        UsePositionEmbeddings = true,
        ConvolutionSize = 0,
        UseForgetGates = false,
        FocusSize = 32,
        LayerCount = 6,
        HeadCount = 4,
        Dropout = 0.1,
        Epochs = 5,
        BatchSize = 8,
        Layout = TrainingLayout.Stream,
        LearningRate = 5e-4,
        WarmupRatio = 0,
        WeightDecay = 0.01,
        MemoryMegabytes = 0,
        Optimizer = TrainingOptimizer.AdamW,
        ValidationFraction = 0,
        Seed = 1,
    };

    // The verb "wikitext2" with a learned tokenizer, in the time that the default may take for such texts: 25 epochs of the longest are many.
    private static LeapLanguageModelTrainer.Options Original()
    {
        LeapLanguageModelTrainer.Options options = Version01();
        options.ContextLength = 2048;
        options.BatchSize = 2;
        options.Epochs = 25;
        options.DecayAllWeights = true;
        options.TimeBudget = TimeSpan.FromMinutes(3);
        return options;
    }

    private static (Scores Bits, double Seconds) Measure(HeldOutRows rows, LeapLanguageModelTrainer.Options options)
    {
        (LeapLanguageModelTransformer model, double seconds) = Train(rows, options);
        using LeapLanguageModelTransformer disposed = model;
        return (Score(rows, model), seconds);
    }

    private static (LeapLanguageModelTransformer Model, double Seconds) Train(HeldOutRows rows, LeapLanguageModelTrainer.Options options)
    {
        var context = new MLContext(seed: 1);
        var progress = new ConsoleProgress();
        options.Progress = progress.Report;
        context.Log += (_, e) =>
        {
            if (e.Kind == Runtime.ChannelMessageKind.Warning || e.Message.Contains("will take", StringComparison.Ordinal))
                Console.WriteLine(e.Message);
        };
        long start = Stopwatch.GetTimestamp();
        LeapLanguageModelTransformer model = context.Leap().LanguageModel(options).Fit(View(context, rows.Training));
        return (model, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    private static Scores Score(HeldOutRows rows, LeapLanguageModelTransformer model) => new(
        rows.GetBitsPerByte(model.Model.ScoreAll(rows.HeldOut, model.Model.CreateRunningMemory())),
        model.Evaluate(View(new MLContext(), rows.HeldOut)).BitsPerByte);

    private static IDataView View(MLContext context, string[] texts) => context.Data.LoadFromEnumerable(texts.Select(text => new Document { Text = text }));

    private static double MeasureAlone(HeldOutRows rows, LeapLanguageModelTransformer model)
    {
        using var stream = new MemoryStream();
        new MLContext().Model.Save(model, null, stream);
        stream.Position = 0;
        using LeapLanguageModel alone = LeapLanguageModel.Load(stream, new LeapLanguageModelOptions { UseMemory = false });
        return alone.Evaluate(rows.HeldOut).BitsPerByte;
    }

    private static Scores Count(HeldOutRows rows, NGramModel model, Func<string, IReadOnlyList<int>> encode)
    {
        // Reading along, the model counts rows together that are few beside those it has: its discounts are found anew each time.
        const int TrainingRowsPerRow = 100;
        foreach (string row in rows.Training)
            model.Add(encode(row));
        IReadOnlyList<int>[] heldOut = [.. rows.HeldOut.Select(encode)];
        double each = -heldOut.Sum(model.LogLikelihood);
        double reading = 0;
        foreach (IReadOnlyList<int>[] together in heldOut.Chunk(1 + rows.Training.Length / TrainingRowsPerRow))
        {
            reading -= together.Sum(model.LogLikelihood);
            foreach (IReadOnlyList<int> row in together)
                model.Add(row);
        }

        double bits = Math.Log(2) * rows.HeldOutBytes;
        return new Scores(reading / bits, each / bits);
    }

    private static int[] EncodeBytes(string text) => Array.ConvertAll(Encoding.UTF8.GetBytes(text), b => (int)b);

    /// <summary>Bits per byte of the held-out rows.</summary>
    private readonly record struct Scores(double Reading, double Each);
}

/// <summary>The tokens that counted rivals get: LEAP's, or, where it reads bytes, a learned vocabulary, with which unigrams and bigrams predict
/// far better.</summary>
internal static class CountedTokens
{
    private const int VocabularySize = 1024;
    private const int MostBytes = 320;

    public static LeapTokenizer Choose(LeapTokenizer leap, IEnumerable<string> training) => leap.VocabularySize > MostBytes
        ? leap
        : TokenizerOptions.ByteLevelBpe(VocabularySize).Create(training.Select(text => text.AsMemory()), CancellationToken.None);
}
