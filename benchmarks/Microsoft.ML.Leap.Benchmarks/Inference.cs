using System.CommandLine;
using System.Diagnostics;
using QuickStart;
using TorchSharp;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "inference": running a model by the engine, beside the torch network of this package.</summary>
internal static class InferenceCommand
{
    private static readonly InferenceSettings _default = new();

    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var model = new Option<string?>("--model")
        {
            Description = "The quick start's zip, or any saved model; by default one is trained as the quick start does",
        };
        var texts = new Option<FileInfo>("--texts") { Description = "Held-out texts, one per line; by default of the .NET documentation" };
        texts.AcceptExistingOnly();
        Option<int> seconds = PositiveOption.Create("--seconds", "Time budget of that training", (int)_default.Budget.TotalSeconds);
        Option<int> rounds = PositiveOption.Create("--rounds", "Rounds of measurements", _default.Rounds);
        var quick = new Option<bool>("--quick") { Description = "A round or two of everything: rough, and quickly done" };

        // Only the default sizes are the benchmark.
        Option<int[]> tokens = CreateList("--tokens", _default.Lengths);
        Option<int[]> positions = CreateList("--positions", _default.Steps.Positions);
        Option<int> vocabulary = PositiveOption.CreateHidden("--vocabulary", _default.VocabularySize);
        Option<int> context = PositiveOption.CreateHidden("--context", _default.ContextLength);
        Option<int> stepVocabulary = PositiveOption.CreateHidden("--step-vocabulary", _default.Steps.VocabularySize);
        var command = new System.CommandLine.Command("inference", "Measure scoring, generation, start and memory of the engine, beside torch.")
        {
            json, model, texts, seconds, rounds, quick, tokens, positions, vocabulary, context, stepVocabulary,
        };
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            InferenceSettings settings = new()
            {
                Model = arguments.GetValue(model),
                Texts = arguments.GetValue(texts)?.FullName,
                Budget = TimeSpan.FromSeconds(arguments.GetValue(seconds)),
                Rounds = arguments.GetValue(rounds),
                Lengths = arguments.GetRequiredValue(tokens),
                VocabularySize = arguments.GetValue(vocabulary),
                ContextLength = arguments.GetValue(context),
                Steps = new() { VocabularySize = arguments.GetValue(stepVocabulary), Positions = arguments.GetRequiredValue(positions) },
            };
            InferenceReport report = InferenceBenchmark.Run(arguments.GetValue(quick) ? settings.MakeQuick() : settings);
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
            report.Write();
        }));
        return command;
    }

    private static Option<int[]> CreateList(string name, IReadOnlyList<int> values) => new(name)
    {
        Hidden = true,
        DefaultValueFactory = _ => [.. values],
        AllowMultipleArgumentsPerToken = true,
    };
}

/// <summary>The sizes of the verb "inference".</summary>
internal sealed record InferenceSettings
{
    /// <summary>Gets a saved model; <see langword="null"/> for one to be trained.</summary>
    public string? Model { get; init; }

    /// <summary>Gets a file of held-out texts; <see langword="null"/> for those of the documentation.</summary>
    public string? Texts { get; init; }

    /// <summary>Gets how long the model may be trained where none is given.</summary>
    public TimeSpan Budget { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Gets the characters that it is trained on; as in the quick start.</summary>
    public int TrainingCharacters { get; init; } = 3_000_000;

    /// <summary>Gets the rounds of rows, and the starts of processes.</summary>
    public int Rounds { get; init; } = 7;

    /// <summary>Gets how many rounds of steps are measured for each round of rows: they are short.</summary>
    public int StepRoundsPerRound { get; init; } = 3;

    /// <summary>Gets the tokens of a measurement of rows, unless they make less than 4 rows.</summary>
    public int TokensPerRound { get; init; } = 16_384;

    /// <summary>Gets the tokens of rows.</summary>
    public IReadOnlyList<int> Lengths { get; init; } = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

    /// <summary>Gets the vocabulary of the network that scores: that of the verb "scoring", as the context.</summary>
    public int VocabularySize { get; init; } = 8192;

    public int ContextLength { get; init; } = 2048;

    /// <summary>Gets the network that generates and its positions: those of the verb "generation".</summary>
    public GenerationSettings Steps { get; init; } = new();

    public InferenceSettings MakeQuick() => this with
    {
        Rounds = 2,
        StepRoundsPerRound = 1,
        TokensPerRound = 1024,
        Budget = TimeSpan.FromSeconds(Math.Min(10, Budget.TotalSeconds)),
        TrainingCharacters = 300_000,
    };
}

/// <summary>Runs the engine and torch by turns, for each number of threads.</summary>
internal sealed class InferenceBenchmark : IDisposable
{
    private const int LeastRows = 4;

    // .NET compiles a method for speed only once it has often run.
    private const int FirstWarmups = 5;

    // A rate of wrong values is no rate.
    private const double Tolerance = 1e-4;

    private readonly InferenceSettings _settings;
    private readonly LeapLanguageModelTransformer _model;
    private readonly Dictionary<int, double[][]> _rowScores = [];
    private readonly Dictionary<int, IReadOnlyList<IReadOnlyList<int>>> _rows;
    private readonly GpuScorer _torch;
    private readonly LeapConfig _stepConfig;
    private readonly Dictionary<string, float[]> _stepWeights;
    private readonly NetworkState[] _states;
    private readonly MatrixProductRates _products;
    private readonly List<MatrixRate> _rates = [];
    private bool _isWarm;

    private InferenceBenchmark(InferenceSettings settings)
    {
        _settings = settings;
        var texts = new ScoringTexts(settings.VocabularySize);
        _model = ScoringBenchmark.Fit(new MLContext(seed: 1), texts, settings.VocabularySize, settings.ContextLength);
        _torch = TorchScorer.Create(_model.Config, _model.Model.Network.GetWeights());
        _rows = settings.Lengths.Distinct().ToDictionary(length => length, length => (IReadOnlyList<IReadOnlyList<int>>)
            [.. texts.Rows(_model.Tokenizer, Math.Clamp(settings.TokensPerRound / length, LeastRows, 512), length).Select(_model.Tokenizer.Encode)]);
        _stepConfig = settings.Steps.Leap;
        using (var initial = new LeapModel(_stepConfig, torch.CPU, seed: 1))
            _stepWeights = initial.GetWeights();
        _states = ReadStates();
        _products = new MatrixProductRates(_model.Config);
    }

    public static InferenceReport Run(InferenceSettings settings)
    {
        int defaultThreads = Environment.ProcessorCount;
        int before = torch.get_num_threads();
        string folder = Directory.CreateTempSubdirectory("leap-inference-").FullName;
        try
        {
            // The default comes last, and leaves torch so.
            using var benchmark = new InferenceBenchmark(settings);
            ThreadsResult[] results = [.. new[] { 1, 2 }.Where(count => count != defaultThreads).Append(defaultThreads).Select(benchmark.Measure)];
            MatrixRate rate = MatrixRate.Median(benchmark._rates);
            MachineFacts machine = MachineFacts.Collect();
            (string model, string[] heldOut) = QuickStartModel.Prepare(settings, folder);
            return new InferenceReport
            {
                Machine = machine,
                MatmulGflopsFloat32 = rate.Float32,
                MatmulGflopsBFloat16 = rate.BFloat16,
                ScoringNetwork = benchmark._model.Config.ToString(),
                StepNetwork = benchmark._stepConfig.ToString(),
                Rounds = settings.Rounds,
                Threads = results,
                ColdStart = new ColdStart(model).Measure(settings.Rounds),
                Formats = QuickStartModel.MeasureFormats(model, heldOut, folder),
            };
        }
        finally
        {
            torch.set_num_threads(before);
            Directory.Delete(folder, recursive: true);
        }
    }

    public void Dispose()
    {
        _products.Dispose();
        foreach (NetworkState state in _states)
            state.Dispose();
        _torch.Dispose();
        _model.Dispose();
    }

    private ThreadsResult Measure(int threads)
    {
        torch.set_num_threads(threads);
        using var network = new LeapNetwork(_model.Config, _model.Model.Network.GetWeights(), WeightFormat.Float32, threads);
        InferenceRow[] rows = [.. _settings.Lengths.Select(length => MeasureRows(network, length))];
        return MeasureSteps(threads, rows);
    }

    private InferenceRow MeasureRows(LeapNetwork network, int length)
    {
        IReadOnlyList<IReadOnlyList<int>> rows = _rows[length];
        TextScorer engine = CreateScorer((blocks, _, memory) => BlockLosses.Compute(network, blocks, memory));
        TextScorer byTorch = CreateScorer(_torch.ComputeLosses);
        Contestant single = CreateContestant(length, () => [.. rows.Select(row => engine.Score([row])[0])]);
        Contestant batched = CreateContestant(length, () => engine.Score(rows));
        Contestant singleTorch = CreateContestant(length, () => [.. rows.Select(row => byTorch.Score([row])[0])]);
        Contestant batchedTorch = CreateContestant(length, () => byTorch.Score(rows));
        Contestant.TakeTurns(
            [single, batched, singleTorch, batchedTorch], _settings.Rounds, _isWarm ? 1 : FirstWarmups, MeasureMachine);
        _isWarm = true;
        return new InferenceRow(
            length, single.Median, batched.Median, singleTorch.Median, batchedTorch.Median,
            Statistics.MedianRatio(single.Rounds, singleTorch.Rounds), Statistics.MedianRatio(batched.Rounds, batchedTorch.Rounds));
    }

    // Rates are those of the default number of threads.
    private void MeasureMachine()
    {
        if (torch.get_num_threads() == Environment.ProcessorCount)
            _rates.Add(_products.Measure());
    }

    private TextScorer CreateScorer(ComputeLosses computeLosses) =>
        new(computeLosses, memory: null, _model.Model.Network.Workers, ReadingPlan.Of(_model.Config), _model.Tokenizer.EndOfTextId);

    private Contestant CreateContestant(int length, Func<TextScore[]> score) => new(() =>
    {
        long start = Stopwatch.GetTimestamp();
        TextScore[] scores = score();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        RequireAgreement(length, scores);
        return scores.Length / seconds;
    });

    private void RequireAgreement(int length, TextScore[] scores)
    {
        double[] actual = [.. scores.Select(score => score.LogLikelihood)];
        if (_rowScores.TryAdd(length, [actual]))
            return;
        double[] expected = _rowScores[length][0];
        for (int i = 0; i < actual.Length; i++)
        {
            if (!(Math.Abs(expected[i] - actual[i]) <= Tolerance * Math.Abs(expected[i])))
                throw new InvalidOperationException($"Row {i} of {length} tokens scores {expected[i]} one way, and {actual[i]} another.");
        }
    }

    private ThreadsResult MeasureSteps(int threads, InferenceRow[] rows)
    {
        WeightFormat[] formats = [WeightFormat.Float32, WeightFormat.BFloat16, WeightFormat.Int8];
        LeapNetwork[] networks = [.. formats.Select(format => new LeapNetwork(_stepConfig, _stepWeights, format, threads))];
        LeapStreams[][] streams = [.. _states.Select(state => networks.Select(network => new LeapStreams(network, [state.Clone()])).ToArray())];
        long bytes = networks[0].SizeInBytes;
        using var memory = new MemoryReadRate(bytes);
        try
        {
            Contestant[][] steps = [.. streams.Select(position => position.Select(stream => new Contestant(stream.Measure)).ToArray())];
            var read = new Contestant(() => memory.Measure(threads));
            Contestant.TakeTurns([read, .. steps.SelectMany(position => position)], _settings.Rounds * _settings.StepRoundsPerRound, warmups: 2);
            InferencePosition[] positions = [.. steps.Select((times, i) =>
                new InferencePosition(_settings.Steps.Positions[i], times[0].Median, times[1].Median, times[2].Median))];

            // The middle position: 10,000.
            double step = positions[positions.Length / 2].MillisecondsFloat32;
            return new ThreadsResult(threads, rows, positions, bytes, read.Median, bytes / (read.Median * 1e6) / step);
        }
        finally
        {
            foreach (IDisposable owned in (IDisposable[])[.. streams.SelectMany(position => position), .. networks])
                owned.Dispose();
        }
    }

    // The same random text up to each position: a state's layout does not depend on the weights' format.
    private NetworkState[] ReadStates()
    {
        using var network = new LeapNetwork(_stepConfig, _stepWeights);
        using NetworkState state = network.CreateState();
        var random = new Random(1);
        float[] hidden = new float[_stepConfig.HiddenSize];
        return [.. _settings.Steps.Positions.Select(position =>
        {
            int[] ids = [.. Enumerable.Range(0, (int)(position - state.Position)).Select(_ => random.Next(_stepConfig.VocabularySize))];
            network.Read(ids, state, hidden);
            return state.Clone();
        })];
    }
}

/// <summary>A model as the quick start saves it, and texts that it has not seen.</summary>
internal static class QuickStartModel
{
    private const int MostHeldOut = 1000;

    /// <summary>Finds the model, or trains it, and reads the held-out texts.</summary>
    /// <param name="settings">What is given.</param>
    /// <param name="folder">Where a trained model goes.</param>
    public static (string Path, string[] HeldOut) Prepare(InferenceSettings settings, string folder)
    {
        string[] training = [], heldOut = [];
        if (settings.Model is null || settings.Texts is null)
        {
            // As the quick start splits them.
            string[] documents = [.. DocumentationCorpus.Read()];
            new Random(1).Shuffle(documents);
            int count = Math.Clamp(documents.Length / 50, 1, MostHeldOut);
            long characters = 0;
            heldOut = documents[..count];
            training = [.. documents.Skip(count).TakeWhile(text => (characters += text.Length) <= settings.TrainingCharacters)];
        }

        if (settings.Texts is not null)
            heldOut = [.. TextFile.ReadLines(settings.Texts).Where(line => !string.IsNullOrWhiteSpace(line)).Take(MostHeldOut)];
        return (settings.Model ?? Train(training, settings.Budget, Path.Combine(folder, "quickstart.leap.zip")), heldOut);
    }

    /// <summary>Measures what each format of the weights costs in perplexity, and gains in file size.</summary>
    /// <param name="model">The model.</param>
    /// <param name="heldOut">Texts to predict.</param>
    /// <param name="folder">Where models may be saved.</param>
    public static FormatsResult MeasureFormats(string model, string[] heldOut, string folder)
    {
        return new FormatsResult(
            Perplexity(WeightFormat.Float32), Perplexity(WeightFormat.BFloat16), Perplexity(WeightFormat.Int8),
            Megabytes(WeightFormat.Float32), Megabytes(WeightFormat.Int8));

        double Perplexity(WeightFormat format)
        {
            using LeapLanguageModel loaded = LeapLanguageModel.Load(model, new LeapLanguageModelOptions { WeightFormat = format });
            return loaded.Evaluate(heldOut).Perplexity;
        }

        double Megabytes(WeightFormat format)
        {
            using LeapLanguageModel loaded = LeapLanguageModel.Load(model);
            string target = Path.Combine(folder, format.ToString());
            loaded.Save(target, format);
            return new FileInfo(Path.Combine(target, ModelFileNames.Weights)).Length / 1e6;
        }
    }

    private static string Train(string[] texts, TimeSpan budget, string path)
    {
        Console.WriteLine($"No --model: training one on {texts.Length} texts of the .NET documentation in {budget.TotalSeconds:0} s.");
        var context = new MLContext(seed: 1);
        IDataView data = context.Data.LoadFromEnumerable(texts.Select(text => new Document { Text = text }));
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            TimeBudget = budget,
            Device = "cpu",
            Progress = new ConsoleProgress().Report,
        }).Fit(data);
        context.Model.Save(model, data.Schema, path);
        return path;
    }
}
