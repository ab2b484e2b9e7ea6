namespace Microsoft.ML.Leap;

/// <summary>A loss by steps, as runs of points without a gap.</summary>
internal static class CurvePoints
{
    // As many as have a pixel or two each.
    private const int MostRecords = 400;

    // Beyond it a loss tells nothing that a scale could show.
    private const double GreatestDrawn = 1e30;

    /// <summary>Reads a loss from records. Where it is missing or not finite, a run ends. Of many records each group keeps the least and
    /// the greatest loss, so that no peak is lost.</summary>
    public static List<List<(long Step, double Loss)>> Runs(IReadOnlyList<TrainingRecord> records, Func<TrainingRecord, double?> loss)
    {
        List<List<(long, double)>> runs = [];
        bool isOpen = false;
        foreach (TrainingRecord[] group in records.Chunk(GroupSize(records.Count)))
        {
            (long Step, double Loss)[] points =
                [.. group.Where(record => IsDrawn(loss(record))).Select(record => (record.Step, loss(record)!.Value))];
            if (points.Length > 0)
            {
                if (!isOpen)
                    runs.Add([]);
                runs[^1].AddRange(Extremes(points));
            }

            isOpen = points.Length > 0;
        }

        return runs;
    }

    private static IEnumerable<(long Step, double Loss)> Extremes((long Step, double Loss)[] points) =>
        new[] { points.MinBy(point => point.Loss), points.MaxBy(point => point.Loss) }.Distinct().OrderBy(point => point.Step);

    private static int GroupSize(int count) => count <= MostRecords ? 1 : (count + MostRecords / 2 - 1) / (MostRecords / 2);

    private static bool IsDrawn(double? loss) => Math.Abs(loss ?? double.NaN) < GreatestDrawn;
}
