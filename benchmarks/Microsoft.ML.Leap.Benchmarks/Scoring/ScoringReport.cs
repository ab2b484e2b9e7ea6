using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "scoring" measured.</summary>
internal sealed record ScoringReport
{
    public required MachineFacts Machine { get; init; }
    public required string Precision { get; init; }
    public required double MatmulGflopsFloat32 { get; init; }
    public required double MatmulGflopsBFloat16 { get; init; }
    public required string Model { get; init; }
    public required int Rounds { get; init; }
    public required IReadOnlyList<ScoringResult> Rows { get; init; }

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated(
            $"precision {Precision}; matrix products {MatmulGflopsFloat32:0} GFLOP/s fp32, {MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.MarkupLineInterpolated($"{Model}; medians of {Rounds} rounds");
        Table table = new Table().AddColumns("tokens", "rows/s batched", "rows/s single", "ratio");
        foreach (ScoringResult row in Rows)
        {
            table.AddRow(
                row.Tokens.ToString(CultureInfo.InvariantCulture),
                row.RowsPerSecondBatched.ToString("N1", CultureInfo.InvariantCulture),
                row.RowsPerSecondSingle.ToString("N1", CultureInfo.InvariantCulture),
                row.Ratio.ToString("0.00", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
    }
}
