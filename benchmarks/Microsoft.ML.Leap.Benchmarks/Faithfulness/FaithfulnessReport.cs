using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "faithfulness" measured. The curves at the top are the text model's.</summary>
internal sealed record FaithfulnessReport
{
    public required MachineFacts Machine { get; init; }
    public required string TextModel { get; init; }
    public required double TextModelLoss { get; init; }
    public required int Texts { get; init; }
    public required DeletionCurve MostFocused { get; init; }
    public required DeletionCurve Random { get; init; }
    public required DeletionCurve LeastFocused { get; init; }
    public required DeletionReport TextDeletion { get; init; }

    /// <summary>Gets the curves where the tokens right before what follows are never removed: without the advantage of being near.</summary>
    public required DeletionReport FarTextDeletion { get; init; }

    public required int FarTextDeletionKept { get; init; }

    /// <summary>Gets the curves of other aggregates than the report's: without gates; and mean shares alone.</summary>
    public required DeletionCurve MostFocusedWithoutGates { get; init; }

    public required DeletionCurve MostByMeanShare { get; init; }

    /// <summary>Gets the rank correlation of the focus with that of a network of the same shape with random weights, over texts.</summary>
    public required Interval CorrelationWithRandomWeights { get; init; }

    /// <summary>Gets the trained network's curve when a network with random weights says which tokens go.</summary>
    public required DeletionCurve MostFocusedByRandomWeights { get; init; }

    public required IReadOnlyList<PlantedKeyResult> PlantedKey { get; init; }
    public required DeletionReport PlantedKeyDeletion { get; init; }
    public required int PlantedKeyDeletionDistance { get; init; }

    public void Write()
    {
        Machine.Write();
        AnsiConsole.WriteLine($"{TextModel}; loss {TextModelLoss:0.000} nats a token; {Texts} texts.");
        WriteCurves("text model", TextDeletion);
        AnsiConsole.WriteLine($"  most focused, without gates {MostFocusedWithoutGates}; by mean share {MostByMeanShare}");
        AnsiConsole.WriteLine($"  random weights: rank correlation {CorrelationWithRandomWeights}; most focused by them {MostFocusedByRandomWeights}");
        WriteCurves($"text model, the nearest {FarTextDeletionKept} tokens kept", FarTextDeletion);
        WriteCurves($"planted key, distance {PlantedKeyDeletionDistance}", PlantedKeyDeletion);
        Table table = new Table().AddColumns("distance", "global", "local only", "chance", "key's share", "even share");
        foreach (PlantedKeyResult row in PlantedKey)
        {
            table.AddRow(
                $"{row.Distance}", $"{row.AccuracyGlobal:0.000}", $"{row.AccuracyLocalOnly:0.000}", $"{row.Chance:0.000}", $"{row.KeyShare:0.000}",
                $"{row.EvenShare:0.00000}");
        }

        AnsiConsole.Write(table);
    }

    private static void WriteCurves(string name, DeletionReport report)
    {
        AnsiConsole.WriteLine($"{name}: rise of the loss in nats a token, mean and 95 % interval over {report.Texts} texts");
        AnsiConsole.WriteLine($"  most focused {report.MostFocused}, random {report.Random}, least focused {report.LeastFocused}");
        AnsiConsole.WriteLine($"  most less random {report.MostLessRandom}; random less least {report.RandomLessLeast}");
        AnsiConsole.WriteLine($"  most recent {report.MostRecent}; most focused by the continuation {report.MostFocusedByContinuation}");
    }
}
