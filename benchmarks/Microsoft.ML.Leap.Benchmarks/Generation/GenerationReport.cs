using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "generation" measured. A key's 2048 and 16384 are the default lengths; <see cref="Context"/> and
/// <see cref="LongContext"/> are those of this run.</summary>
internal sealed record GenerationReport
{
    public required MachineFacts Machine { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string Network { get; init; }
    public required int Rounds { get; init; }
    public required int Context { get; init; }
    public required int LongContext { get; init; }
    public required IReadOnlyList<GenerationPosition> Positions { get; init; }
    public required double TokensPerSecond1 { get; init; }
    public required double TokensPerSecond16 { get; init; }
    public required long StateBytes { get; init; }
    public required double RecomputeMillisecondsPerToken2048 { get; init; }
    public required double RecomputeLastLogitsMillisecondsPerToken2048 { get; init; }
    public required double Gpt2CacheMillisecondsPerToken2048 { get; init; }
    public required double Gpt2CacheMillisecondsPerToken16384 { get; init; }

    /// <summary>Gets the median over the rounds of how many steps one recomputation with all logits takes.</summary>
    public required double RecomputeToStep { get; init; }

    /// <summary>Gets the same of the recomputation with the last token's logits.</summary>
    public required double RecomputeLastLogitsToStep { get; init; }

    /// <summary>Gets the longest time over the shortest, of the positions.</summary>
    public double SlowestToFastestPosition =>
        Positions.Max(row => row.MillisecondsPerToken) / Positions.Min(row => row.MillisecondsPerToken);

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.MarkupLineInterpolated($"{Network}");
        AnsiConsole.MarkupLineInterpolated($"fp32, greedy, medians of {Rounds} rounds");
        Table table = new Table().AddColumns("one token by", "position", "ms");
        foreach (GenerationPosition row in Positions)
            AddRow(table, "LEAP, a step", row.Position, row.MillisecondsPerToken);
        AddRow(table, "LEAP, the prefix anew, all logits", Context, RecomputeMillisecondsPerToken2048);
        AddRow(table, "LEAP, the prefix anew, last logits", Context, RecomputeLastLogitsMillisecondsPerToken2048);
        AddRow(table, "GPT-2, a step with its cache", Context, Gpt2CacheMillisecondsPerToken2048);
        AddRow(table, "GPT-2, a step with its cache", LongContext, Gpt2CacheMillisecondsPerToken16384);
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated(
            $"tokens/s: {TokensPerSecond1:N0} of one stream, {TokensPerSecond16:N0} of 16; state {StateBytes:N0} bytes");
        AnsiConsole.MarkupLineInterpolated(
            $"The prefix of {Context:N0} anew takes {RecomputeToStep:0} steps' time, {RecomputeLastLogitsToStep:0} with the last logits.");
        AnsiConsole.MarkupLineInterpolated($"The slowest position takes {SlowestToFastestPosition:0.00} times the fastest's time.");
    }

    private static void AddRow(Table table, string name, int position, double milliseconds) => table.AddRow(
        name, position.ToString("N0", CultureInfo.InvariantCulture), milliseconds.ToString("0.000", CultureInfo.InvariantCulture));
}
