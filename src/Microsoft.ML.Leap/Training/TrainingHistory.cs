using System.Globalization;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>How a model's training went: one record per evaluation, or per epoch where there was nothing to evaluate on. Immutable, and
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

/// <summary>What one evaluation found. Immutable, and therefore thread-safe.</summary>
public sealed record TrainingRecord
{
    /// <summary>Gets the epoch, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>Gets the optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Gets the mean training loss since the record before, in nats per token and with dropout; NaN when all steps were
    /// skipped.</summary>
    public required double TrainingLoss { get; init; }

    /// <summary>Gets the validation loss in nats per token; <see langword="null"/> without validation data.</summary>
    public required double? ValidationLoss { get; init; }

    /// <summary>Gets the learning rate of the step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Gets the Euclidean norm of the step's gradient before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Gets the steps skipped so far.</summary>
    public required long SkippedSteps { get; init; }

    /// <summary>Gets the tokens trained on so far.</summary>
    public required long Tokens { get; init; }

    /// <summary>Gets the time of training so far, evaluations included.</summary>
    public required TimeSpan Elapsed { get; init; }
}

/// <summary>Training records as comma-separated values; what is written reads back the same.</summary>
internal static class HistoryCsv
{
    public const string FileName = "history.csv";

    private const string Header =
        "epoch,step,training_loss,validation_loss,learning_rate,gradient_norm,skipped_steps,tokens,elapsed_seconds";

    private const int MaximumLength = 1 << 26;

    public static void Write(Stream stream, IReadOnlyList<TrainingRecord> records)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(Header);
        foreach (TrainingRecord record in records)
        {
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{record.Epoch},{record.Step},{record.TrainingLoss:R},{record.ValidationLoss:R},{record.LearningRate:R}," +
                $"{record.GradientNorm:R},{record.SkippedSteps},{record.Tokens},{Seconds(record.Elapsed)}"));
        }
    }

    /// <exception cref="FormatException">The content is malformed.</exception>
    public static List<TrainingRecord> Read(Stream stream)
    {
        string text = Encoding.UTF8.GetString(BoundedReader.ReadAll(stream, MaximumLength, FileName));
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || lines[0] != Header)
            throw new FormatException($"{FileName}: the first line must be '{Header}'.");
        return [.. lines.Skip(1).Select(Parse)];
    }

    private static TrainingRecord Parse(string line)
    {
        string[] fields = line.Split(',');
        if (fields.Length != Header.Count(c => c == ',') + 1)
            throw Fault(line);
        try
        {
            return new TrainingRecord
            {
                Epoch = int.Parse(fields[0], CultureInfo.InvariantCulture),
                Step = Integer(fields[1]),
                TrainingLoss = Number(fields[2]),
                ValidationLoss = fields[3].Length == 0 ? null : Number(fields[3]),
                LearningRate = Number(fields[4]),
                GradientNorm = Number(fields[5]),
                SkippedSteps = Integer(fields[6]),
                Tokens = Integer(fields[7]),
                Elapsed = Time(fields[8]),
            };
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            throw Fault(line, e);
        }
    }

    // Decimal: a double would lose a tick here and there.
    private static decimal Seconds(TimeSpan time) => (decimal)time.Ticks / TimeSpan.TicksPerSecond;

    private static TimeSpan Time(string field) =>
        TimeSpan.FromTicks((long)(decimal.Parse(field, CultureInfo.InvariantCulture) * TimeSpan.TicksPerSecond));

    private static long Integer(string field) => long.Parse(field, CultureInfo.InvariantCulture);

    private static double Number(string field) => double.Parse(field, CultureInfo.InvariantCulture);

    private static FormatException Fault(string line, Exception? inner = null) =>
        new($"{FileName}: expected values of '{Header}', but got '{line}'.", inner);
}

/// <summary>Shows a <see cref="TrainingHistory"/>: a curve of its losses above its summary.</summary>
internal sealed class HistoryDisplay : HtmlDisplay<TrainingHistory>
{
    protected override string Draw(TrainingHistory value) => Html(value);

    public static string Html(TrainingHistory history) =>
        $"<div>{(history.Records.Count > 0 ? LossCurve.Draw(history.Records) : "")}<div>{DisplayText.Html(history.ToString())}</div></div>";
}
