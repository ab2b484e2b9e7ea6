namespace Microsoft.ML.Leap;

/// <summary>How a model's training went: one record an evaluation, or an epoch where there was nothing to evaluate on. Immutable, and
/// therefore thread-safe.</summary>
[TypeFormatterSource(typeof(HistoryDisplay))]
public sealed class TrainingHistory
{
    private const string LossFormat = "0.0000";

    internal TrainingHistory(IReadOnlyList<TrainingRecord> records) => Records = records;

    /// <summary>Gets the records in the order of the steps; none for a model that was not trained by this package.</summary>
    public IReadOnlyList<TrainingRecord> Records { get; }

    /// <summary>Gets the record of the least validation loss; <see langword="null"/> where none was measured.</summary>
    public TrainingRecord? Best =>
        Records.Where(record => !double.IsNaN(record.ValidationLoss ?? double.NaN)).MinBy(record => record.ValidationLoss);

    /// <summary>Writes the records as comma-separated values with a header line, numbers in invariant format and to the last digit.</summary>
    /// <param name="path">The file; replaced when it exists.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public void SaveCsv(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using FileStream stream = File.Create(path);
        HistoryCsv.Write(stream, Records);
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        if (Records.Count == 0)
            return "no training history";
        TrainingRecord last = Records[^1];
        string validation = last.ValidationLoss is double loss ? $", validation loss {DisplayText.Number(loss, LossFormat)}" : "";
        string best = Best is TrainingRecord record
            ? $"; best validation loss {DisplayText.Number(record.ValidationLoss!.Value, LossFormat)} at step {DisplayText.Count(record.Step)}"
            : "";
        return $"epoch {last.Epoch}, step {DisplayText.Count(last.Step)}, {DisplayText.Count(last.Tokens)} tokens in " +
            $"{DisplayText.Duration(last.Elapsed)}: training loss {DisplayText.Number(last.TrainingLoss, LossFormat)}{validation}{best}";
    }
}
