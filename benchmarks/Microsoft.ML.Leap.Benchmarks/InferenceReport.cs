using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "inference" measured: medians of the rounds, ratios medians of the rounds' pairs.</summary>
internal sealed record InferenceReport
{
    public required MachineFacts Machine { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string ScoringNetwork { get; init; }
    public required string StepNetwork { get; init; }
    public required int Rounds { get; init; }

    /// <summary>Gets the results by number of threads; the last is the default, whose figures stand at the top level too.</summary>
    public required IReadOnlyList<ThreadsResult> Threads { get; init; }

    // Not public, and so not in the JSON: their figures stand there one by one.
    internal required ColdStartResult ColdStart { get; init; }
    internal required FormatsResult Formats { get; init; }

    public IReadOnlyList<InferenceRow> Rows => Threads[^1].Rows;
    public IReadOnlyList<InferencePosition> Positions => Threads[^1].Positions;
    public double ReadGigabytesPerSecond => Threads[^1].ReadGigabytesPerSecond;
    public double MemoryLimitFraction => Threads[^1].MemoryLimitFraction;
    public double ColdStartSeconds => ColdStart.Seconds;
    public double ColdStartSecondsTorch => ColdStart.SecondsTorch;
    public double ResidentMegabytes => ColdStart.ResidentMegabytes;
    public double ResidentMegabytesTorch => ColdStart.ResidentMegabytesTorch;
    public double PeakMegabytes => ColdStart.PeakMegabytes;
    public double PeakMegabytesTorch => ColdStart.PeakMegabytesTorch;
    public double PerplexityFloat32 => Formats.PerplexityFloat32;
    public double PerplexityBFloat16 => Formats.PerplexityBFloat16;
    public double PerplexityInt8 => Formats.PerplexityInt8;
    public double FileMegabytesFloat32 => Formats.FileMegabytesFloat32;
    public double FileMegabytesInt8 => Formats.FileMegabytesInt8;

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16; medians of {Rounds} rounds");
        foreach (ThreadsResult result in Threads)
            Write(result);

        Table table = new Table().AddColumns("a new process scores a sentence", "engine", "torch", "better");
        AddRow("seconds", ColdStartSeconds, ColdStartSecondsTorch, "0.000");
        AddRow("resident MB", ResidentMegabytes, ResidentMegabytesTorch, "0");
        AddRow("peak MB", PeakMegabytes, PeakMegabytesTorch, "0");
        AnsiConsole.Write(table);

        AnsiConsole.Write(new Table().AddColumns("weights", "perplexity", "to fp32", "file MB", "to fp32")
            .AddRow("fp32", Text(PerplexityFloat32, "0.000"), "", Text(FileMegabytesFloat32, "0.00"), "")
            .AddRow("bf16", Text(PerplexityBFloat16, "0.000"), Text(PerplexityBFloat16 / PerplexityFloat32, "0.0000"), "", "")
            .AddRow(
                "int8", Text(PerplexityInt8, "0.000"), Text(PerplexityInt8 / PerplexityFloat32, "0.0000"),
                Text(FileMegabytesInt8, "0.00"), Text(FileMegabytesInt8 / FileMegabytesFloat32, "0.000")));

        void AddRow(string name, double engine, double torch, string format) => table.AddRow(
            name, Text(engine, format), Text(torch, format), Winner(torch / engine));
    }

    private void Write(ThreadsResult result)
    {
        string threads = result.Threads == 1 ? "1 thread" : $"{result.Threads} threads";
        AnsiConsole.MarkupLineInterpolated($"{threads}; rows per second by the engine and by torch, one at a time and batched; {ScoringNetwork}");
        Table rows = new Table().AddColumns("tokens", "single", "torch", "better", "batched", "torch", "better");
        foreach (InferenceRow row in result.Rows)
        {
            rows.AddRow(
                row.Tokens.ToString("N0", CultureInfo.InvariantCulture),
                Rate(row.RowsPerSecondSingle), Rate(row.RowsPerSecondSingleTorch), Winner(row.RatioSingle),
                Rate(row.RowsPerSecondBatched), Rate(row.RowsPerSecondBatchedTorch), Winner(row.RatioBatched));
        }

        AnsiConsole.Write(rows);
        AnsiConsole.MarkupLineInterpolated($"{threads}; milliseconds per token, greedy; {StepNetwork}");
        Table positions = new Table().AddColumns("position", "fp32", "bf16", "int8", "fp32 / bf16", "fp32 / int8");
        foreach (InferencePosition row in result.Positions)
        {
            positions.AddRow(
                row.Position.ToString("N0", CultureInfo.InvariantCulture),
                Text(row.MillisecondsFloat32, "0.000"), Text(row.MillisecondsBFloat16, "0.000"), Text(row.MillisecondsInt8, "0.000"),
                Text(row.MillisecondsFloat32 / row.MillisecondsBFloat16, "0.00"), Text(row.MillisecondsFloat32 / row.MillisecondsInt8, "0.00"));
        }

        AnsiConsole.Write(positions);
        AnsiConsole.MarkupLineInterpolated(
            CultureInfo.InvariantCulture,
            $"{threads} read {result.ReadGigabytesPerSecond:0.0} GB/s; to read the {result.WeightBytes / 1e6:0.0} MB of fp32 weights once takes {result.MemoryLimitFraction:0.00} of a step's time.");
    }

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string Rate(double value) => Text(value, value < 100 ? "N1" : "N0");

    // Who is better, and how many times.
    private static string Winner(double ratio) => ratio >= 1 ? $"engine {Text(ratio, "0.00")}" : $"torch {Text(1 / ratio, "0.00")}";
}

/// <summary>What a number of threads reaches, the engine's and torch's alike.</summary>
/// <param name="Threads">The threads.</param>
/// <param name="Rows">By the rows' length.</param>
/// <param name="Positions">By where a token stands.</param>
/// <param name="WeightBytes">The memory of the fp32 weights of the network that generates.</param>
/// <param name="ReadGigabytesPerSecond">How fast these threads read a buffer of that size from beginning to end, again and again (10^9 bytes).</param>
/// <param name="MemoryLimitFraction">The time to read those weights once at that rate, over the time of a step at the middle position.</param>
internal sealed record ThreadsResult(
    int Threads, IReadOnlyList<InferenceRow> Rows, IReadOnlyList<InferencePosition> Positions, long WeightBytes, double ReadGigabytesPerSecond,
    double MemoryLimitFraction);

/// <summary>The rates for rows of one length.</summary>
/// <param name="Tokens">Tokens of a row; one longer than the context is read in windows.</param>
/// <param name="RowsPerSecondSingle">Rows scored one at a time by the engine.</param>
/// <param name="RowsPerSecondBatched">Rows scored together by the engine.</param>
/// <param name="RowsPerSecondSingleTorch">Rows scored one at a time by torch.</param>
/// <param name="RowsPerSecondBatchedTorch">Rows scored in batches by torch.</param>
/// <param name="RatioSingle">The engine's rate over torch's, of single rows.</param>
/// <param name="RatioBatched">The same of batches.</param>
internal sealed record InferenceRow(
    int Tokens, double RowsPerSecondSingle, double RowsPerSecondBatched, double RowsPerSecondSingleTorch, double RowsPerSecondBatchedTorch,
    double RatioSingle, double RatioBatched);

/// <summary>The time of one token at a position, by format of the weights: a step, the logits and the most likely token.</summary>
internal sealed record InferencePosition(int Position, double MillisecondsFloat32, double MillisecondsBFloat16, double MillisecondsInt8);

/// <summary>What formats of the weights come to, on a trained model.</summary>
internal sealed record FormatsResult(
    double PerplexityFloat32, double PerplexityBFloat16, double PerplexityInt8, double FileMegabytesFloat32, double FileMegabytesInt8);
