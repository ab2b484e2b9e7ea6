using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "context" measured.</summary>
internal sealed record ContextReport
{
    public required MachineFacts Machine { get; init; }
    public required string Precision { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string Shape { get; init; }
    public required IReadOnlyList<ContextResult> Rows { get; init; }

    /// <summary>Gets LEAP's longest time a token over its shortest, over all lengths.</summary>
    public double LeapSlowestToFastest => Rows.Max(row => row.TokensPerSecondLeap) / Rows.Min(row => row.TokensPerSecondLeap);

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated(
            $"precision {Precision}; matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.MarkupLineInterpolated($"{Shape}");
        Table table = new Table().AddColumns("context", "sequences", "pairs", "LEAP tokens/s", "GPT-2 tokens/s", "ratio");
        foreach (ContextResult row in Rows)
        {
            table.AddRow(
                row.ContextLength.ToString("N0", CultureInfo.InvariantCulture),
                row.BatchSize.ToString(CultureInfo.InvariantCulture),
                row.Pairs.ToString(CultureInfo.InvariantCulture),
                row.TokensPerSecondLeap.ToString("N0", CultureInfo.InvariantCulture),
                row.TokensPerSecondGpt2.ToString("N0", CultureInfo.InvariantCulture),
                row.Ratio.ToString("0.00", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"LEAP's slowest time a token is {LeapSlowestToFastest:0.00} times its fastest.");
    }
}
