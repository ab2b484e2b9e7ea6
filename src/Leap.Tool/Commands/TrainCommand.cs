using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using Spectre.Console;

namespace Leap.Tool;

/// <summary><c>leap train</c>: a model out of the texts of files.</summary>
internal static class TrainCommand
{
    private const int DefaultSeed = 1;

    public static Command Create()
    {
        var command = new Command(
            "train",
            """
            Trains a model on the texts of files, and writes it as a zip. What no option sets is chosen by the amount of text. Ctrl+C ends the training and keeps the
            best model so far.

            Examples:
              leap train messages.txt -o messages.zip
              leap train 'tickets/*.csv' --column body -o tickets.zip --time 10m
              leap train corpus.jsonl.gz --field text -o corpus.zip --checkpoint run1
              cat *.log | leap train - -o log.zip
              leap train corpus.txt -o corpus.zip --cluster localhost --run corpus --workers 2
            """);
        var rows = new RowOptions();
        var output = new Option<string>("--output", "-o") { Description = "The zip to write.", HelpName = "FILE", Required = true };
        var validation = new Option<string[]>("--validation")
        {
            Description = "Files to measure the loss on; without them a part of the rows is set aside.",
            HelpName = "FILE",
            AllowMultipleArgumentsPerToken = true,
        };
        var initial = new Option<string?>("--initial") { Description = "A model to train further; its network and tokenizer are kept.", HelpName = "MODEL" };
        var license = new Option<string?>("--license", "--licence") { Description = "The licence of the texts, to be noted in the model.", HelpName = "TEXT" };
        var json = new Option<bool>("--json") { Description = "Writes the result as JSON." };
        var settings = new TrainingSettings();
        var cluster = new ClusterSettings();
        rows.AddTo(command);
        foreach (Option option in (Option[])[output, validation, initial, license, json])
            command.Add(option);
        settings.AddTo(command);
        cluster.AddTo(command);
        command.SetAction((parsed, cancellationToken) => Task.Run(
            () =>
            {
                RowReader reader = rows.Open(parsed);
                RowReader? held = parsed.GetValue(validation) is { Length: > 0 } files ? rows.Open(parsed, files) : null;
                LeapLanguageModelTrainer.Options options = settings.Read(parsed);
                options.Seed ??= DefaultSeed;
                options.CancellationToken = cancellationToken;
                options.OnCancel = CancellationBehavior.ReturnBest;
                Train(
                    reader, held, options, cluster.Read(parsed, options), parsed.GetValue(initial), parsed.GetRequiredValue(output), parsed.GetValue(license), parsed.GetValue(json),
                    parsed.InvocationConfiguration);
            },
            CancellationToken.None));
        return command;
    }

    private static void Train(
        RowReader reader, RowReader? validation, LeapLanguageModelTrainer.Options options, ClusterTraining? cluster, string? initialPath, string output,
        string? license, bool asJson, InvocationConfiguration console)
    {
        OutputPath.RequireFile(output);
        OutputPath.RequireOther(output, initialPath, [.. reader.Files, .. validation?.Files ?? []]);
        if (Path.GetDirectoryName(Path.GetFullPath(output)) is string folder && !Directory.Exists(folder))
            throw new UsageException($"There is no folder for {output}.");
        if (initialPath is not null && !File.Exists(initialPath) && !Directory.Exists(initialPath))
            throw new FileNotFoundException($"There is no model {initialPath}.", initialPath);

        Backend.Require();
        var context = new MLContext(options.Seed);
        using var view = new TrainingView(console.Error);
        context.Log += (_, message) =>
        {
            if (message.Source.Contains(nameof(LeapLanguageModelTrainer), StringComparison.Ordinal) && message.Kind is ChannelMessageKind.Info or ChannelMessageKind.Warning)
                view.Tell(message.RawMessage, isWarning: message.Kind == ChannelMessageKind.Warning);
        };
        options.Progress = view.Report;
        using LeapLanguageModelTransformer? initial = initialPath is null ? null : ModelFile.LoadTransformer(context, initialPath);
        options.InitialModel = initial;
        IDataView data = Load(context, reader);
        IDataView? held = validation is null ? null : Load(context, validation);
        using LeapLanguageModelTransformer model = view.Run(() => cluster is null
            ? context.Leap().LanguageModel(options).Fit(data, held)
            : cluster.Train(context, data, held, message => view.Tell(message, isWarning: false)));
        ModelFile.Save(context, model, data.Schema, output, new ModelNotes(license, [.. reader.Files.Select(file => file.Name)]));
        Tell(model, cluster, output, asJson, console.Output);
    }

    private static IDataView Load(MLContext context, RowReader reader) =>
        context.Data.LoadFromEnumerable(reader.Read().Select(row => new TextRow { Text = row.Text ?? "" }));

    private static void Tell(LeapLanguageModelTransformer model, ClusterTraining? cluster, string output, bool asJson, TextWriter writer)
    {
        // On a cluster the last weights are the model's.
        TrainingRecord? last = model.History.Records.Count > 0 ? model.History.Records[^1] : null;
        TrainingRecord? best = cluster is null ? model.History.Best ?? last : last;
        long bytes = new FileInfo(output).Length;
        if (asJson)
        {
            writer.WriteLine(JsonSerializer.Serialize(
                new
                {
                    model = output,
                    bytes,
                    parameters = model.Config.ParameterCount,
                    vocabularySize = model.Config.VocabularySize,
                    rows = model.Recipe?.RowCount,
                    step = best?.Step,
                    epoch = best?.Epoch,
                    trainingLoss = best?.TrainingLoss,
                    validationLoss = best?.ValidationLoss,
                    tokens = last?.Tokens ?? 0,
                    seconds = last?.Elapsed.TotalSeconds ?? 0,
                    cluster = cluster?.Traffic,
                },
                InfoCommand.Json));
            return;
        }

        string loss = best?.ValidationLoss is double nats
            ? string.Create(CultureInfo.InvariantCulture, $"; perplexity {Math.Exp(nats):0.00} per token on rows set aside, by the network alone")
            : "";
        writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{output}: {bytes / 1e6:0.0} MB, {model.Config.ParameterCount:N0} parameters{loss}."));
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}

/// <summary>Shows how a training goes: a bar with the time left in a terminal, a line from time to time elsewhere.</summary>
internal sealed class TrainingView : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly IAnsiConsole _console;
    private readonly TextWriter _error;
    private readonly System.Diagnostics.Stopwatch _sinceLast = new();
    private ProgressTask? _task;
    private double? _validationLoss;

    public TrainingView(TextWriter error)
    {
        _error = error;
        _console = Terminal.Open(error);
        IsLive = _console.Profile.Capabilities.Ansi;
    }

    private bool IsLive { get; }

    /// <summary>Runs a training under the bar.</summary>
    public T Run<T>(Func<T> train)
    {
        if (!IsLive)
            return train();
        return _console.Progress().AutoClear(true).Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
            .Start(progress =>
            {
                _task = progress.AddTask("reading the texts", maxValue: 1);
                _task.IsIndeterminate = true;
                return train();
            });
    }

    /// <summary>Tells a sentence.</summary>
    public void Tell(string sentence, bool isWarning)
    {
        // Steps come as lines of the log, too.
        if (!isWarning && sentence.StartsWith("epoch ", StringComparison.Ordinal))
            return;
        if (!IsLive)
        {
            _error.WriteLine(isWarning ? $"warning: {sentence}" : sentence);
            return;
        }

        // As wide as the terminal, over what is left of the bar.
        _console.Write(new Padder(new Text(sentence, new Style(isWarning ? Color.Yellow : Color.Grey)), new Padding(0)).Expand());
    }

    /// <summary>Shows a step.</summary>
    public void Report(TrainingProgress progress)
    {
        _validationLoss = progress.ValidationLoss ?? _validationLoss;
        if (_task is not null)
        {
            _task.IsIndeterminate = false;
            _task.Value = progress.Elapsed / (progress.Elapsed + progress.Remaining);
            _task.Description = Describe(progress, _validationLoss);
            return;
        }

        if (_sinceLast.IsRunning && _sinceLast.Elapsed < Interval && progress.ValidationLoss is null && progress.Step < progress.StepCount)
            return;
        _error.WriteLine(progress);
        _sinceLast.Restart();
    }

    public void Dispose() => _task?.StopTask();

    /// <summary>Says in one line how a training goes.</summary>
    /// <param name="progress">Its last step.</param>
    /// <param name="validationLoss">The last loss on rows set aside; null for none.</param>
    internal static string Describe(TrainingProgress progress, double? validationLoss)
    {
        string validation = validationLoss is double loss ? string.Create(CultureInfo.InvariantCulture, $", validation {loss:0.000}") : "";
        TimeSpan left = progress.Remaining;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"epoch {progress.Epoch}/{progress.EpochCount}, loss {progress.Loss:0.000}{validation}, {progress.TokensPerSecond:N0} tokens/s, {(long)left.TotalHours}:{left:mm\\:ss} left");
    }
}
