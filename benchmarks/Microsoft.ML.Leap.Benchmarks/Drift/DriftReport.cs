using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "drift" measured.</summary>
internal sealed record DriftReport
{
    public required MachineFacts Machine { get; init; }
    public required string Network { get; init; }

    /// <summary>Gets the steps up to a checkpoint whose errors it has.</summary>
    public required int StepsACheckpoint { get; init; }

    public required double LeastFocusLogit { get; init; }
    public required double MostFocusLogit { get; init; }
    public required double Seconds { get; init; }
    public required IReadOnlyList<DriftCheckpoint> Checkpoints { get; init; }

    /// <summary>Gets the largest error of the focused means over all layers and checkpoints.</summary>
    public double MaxError => Checkpoints.Max(checkpoint => checkpoint.MeansErrors.Max());

    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"{Network}");
        AnsiConsole.MarkupLineInterpolated(
            $"single steps against double precision; focus logits from {LeastFocusLogit:0.0} to {MostFocusLogit:0.0}; {Seconds:0} s");
        AnsiConsole.MarkupLineInterpolated($"largest absolute errors over the last {StepsACheckpoint} steps up to each checkpoint:");
        AnsiConsole.MarkupLineInterpolated($"each layer's focused means M, the hidden vector, the logits; and the logits' rms error");
        var table = new Table().AddColumn("step");
        for (int layer = 0; layer < Checkpoints[0].MeansErrors.Count; layer++)
            table.AddColumn($"M {layer}");
        table.AddColumns("hidden", "logits", "rms");
        foreach (DriftCheckpoint row in Checkpoints)
        {
            double[] errors = [.. row.MeansErrors, row.HiddenError, row.LogitsError, row.LogitsRootMeanSquareError];
            string step = row.Step.ToString("N0", CultureInfo.InvariantCulture);
            table.AddRow([step, .. errors.Select(error => error.ToString("0.0e-0", CultureInfo.InvariantCulture))]);
        }

        AnsiConsole.Write(table);
        foreach (DriftCheckpoint row in (DriftCheckpoint[])[Checkpoints[0], Checkpoints[^1]])
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"logits' error up to step {row.Step:N0}: {Text(row.LogitsError)}, rms {Text(row.LogitsRootMeanSquareError)}"));
        }

        Console.WriteLine($"max error {Text(MaxError)}");
    }

    private static string Text(double error) => error.ToString("0.00e-00", CultureInfo.InvariantCulture);
}
