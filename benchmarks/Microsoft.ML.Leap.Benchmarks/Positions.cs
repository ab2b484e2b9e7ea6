using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "positions": what each way past the context's end costs in perplexity.</summary>
internal static class PositionsCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new Option<FileInfo>("--data") { Description = "The text, in UTF-8; unpacked where its name ends with .gz", Required = true };
        data.AcceptExistingOnly();
        var steps = PositiveOption.Create("--steps", "Optimizer steps", 2000);
        var context = PositiveOption.Create("--context", "Characters of the context", 128);
        var json = new Option<string?>("--json") { Description = "File for the result" };
        var command = new System.CommandLine.Command(
            "positions", "Train a character-level model with and without positions, and read a text far longer than its context.")
        {
            data, steps, context, json,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            PositionsReport report = Run(
                TextFile.ReadAll(result.GetRequiredValue(data).FullName), result.GetValue(context), result.GetValue(steps));
            Print(report);
            if (result.GetValue(json) is string path)
                JsonReport.Write(path, report);
        }));
        return command;
    }

    public static PositionsReport Run(string text, int contextLength, int steps)
    {
        char[] alphabet = [.. text.Distinct().Order()];
        int[] ids = [.. text.Select(c => Array.BinarySearch(alphabet, c))];
        int trainingCount = ids.Length * 9 / 10;
        using LeapNetwork with = Train(ids[..trainingCount], alphabet.Length, contextLength, steps, usePositions: true);
        using LeapNetwork without = Train(ids[..trainingCount], alphabet.Length, contextLength, steps, usePositions: false);
        int[] rest = ids[(trainingCount - 1)..];
        return new PositionsReport
        {
            Steps = steps,
            ContextLength = contextLength,
            Characters = rest.Length - 1,
            BlocksWithPositions = PositionLosses.Blocks(with, rest),
            Restart = PositionLosses.Restarting(with, rest),
            Clamp = PositionLosses.Endless(with, rest),
            BlocksWithoutPositions = PositionLosses.Blocks(without, rest),
            RestartWithoutPositions = PositionLosses.Restarting(without, rest),
            EndlessWithoutPositions = PositionLosses.Endless(without, rest),
        };
    }

    private static LeapNetwork Train(int[] ids, int vocabularySize, int contextLength, int steps, bool usePositions)
    {
        var config = new LeapConfig(
            vocabularySize, 128, contextLength, layerCount: 4, headCount: 4, dropout: 0, usePositionEmbeddings: usePositions);
        using var model = new LeapModel(config, CPU, 1);
        var options = new LeapLanguageModelTrainer.Options
        {
            Epochs = 1 + steps * contextLength * 8 / ids.Length,
            MaximumSteps = steps,
            BatchSize = 8,
            LearningRate = 2e-3,
            Schedule = LearningRateSchedule.Cosine(finalRatio: 0.1),
            WarmupSteps = Math.Min(100, steps / 2),
            WarmupRatio = 0,
            Beta2 = 0.99,
            WeightDecay = 0.1,
            Seed = 1,
        };
        using (var loop = new TrainingLoop(model, new StreamBlocks(ids, contextLength), null, options))
            loop.Run();
        return new LeapNetwork(config, model.GetWeights());
    }

    private static void Print(PositionsReport report)
    {
        Table table = new Table().AddColumns("model", "how the text is read", "nats per character", "perplexity");
        Add("with positions", "blocks, each from its beginning", report.BlocksWithPositions);
        Add("with positions", "Restart", report.Restart);
        Add("with positions", "Clamp", report.Clamp);
        Add("without positions", "blocks, each from its beginning", report.BlocksWithoutPositions);
        Add("without positions", "restarted as above", report.RestartWithoutPositions);
        Add("without positions", "one stream without end", report.EndlessWithoutPositions);
        AnsiConsole.MarkupLineInterpolated(
            CultureInfo.InvariantCulture, $"context {report.ContextLength}, {report.Steps} steps, {report.Characters:N0} characters read");
        AnsiConsole.Write(table);

        void Add(string model, string reading, double loss) => table.AddRow(
            model,
            reading,
            loss.ToString("0.0000", CultureInfo.InvariantCulture),
            Math.Exp(loss).ToString("0.00", CultureInfo.InvariantCulture));
    }
}

/// <summary>The mean loss of a network over a stream of ids far longer than its context, as generation would read it by each policy.</summary>
internal static class PositionLosses
{
    /// <summary>Blocks of the context's length, each from its beginning.</summary>
    public static double Blocks(LeapNetwork network, int[] ids) => Windows(network, ids, network.Config.ContextLength, 0);

    /// <summary>As <see cref="PositionPolicy.Restart"/>: what finds the context full is read as the last of half a context.</summary>
    public static double Restarting(LeapNetwork network, int[] ids)
    {
        int half = Math.Max(1, network.Config.ContextLength / 2);
        return Windows(network, ids, network.Config.ContextLength + 1 - half, half - 1);
    }

    /// <summary>All in one stream: <see cref="PositionPolicy.Clamp"/>, or no positions.</summary>
    public static double Endless(LeapNetwork network, int[] ids)
    {
        using NetworkState state = network.CreateState();
        return BlockLosses.Compute(network, new EvaluationBlock(ids, 0, StartsStream: true), state, memory: null, reader: null).Average();
    }

    private static double Windows(LeapNetwork network, int[] ids, int stride, int firstScored)
    {
        List<EvaluationBlock> blocks = [];
        int scored = 0;
        for (int start = 0; scored < ids.Length - 1; start += stride)
        {
            int count = Math.Min(network.Config.ContextLength, ids.Length - 1 - start);
            int first = start == 0 ? 0 : firstScored;
            blocks.Add(new EvaluationBlock(ids[start..(start + count + 1)], first, StartsStream: true));
            scored += count - first;
        }

        return BlockLosses.Compute(network, blocks, memory: null).Sum(block => block.Sum()) / scored;
    }
}

/// <summary>Mean losses in nats per character.</summary>
internal sealed record PositionsReport
{
    public required int Steps { get; init; }
    public required int ContextLength { get; init; }
    public required int Characters { get; init; }
    public required double BlocksWithPositions { get; init; }
    public required double Restart { get; init; }
    public required double Clamp { get; init; }
    public required double BlocksWithoutPositions { get; init; }
    public required double RestartWithoutPositions { get; init; }
    public required double EndlessWithoutPositions { get; init; }
}
