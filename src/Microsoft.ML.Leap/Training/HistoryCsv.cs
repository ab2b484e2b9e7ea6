using System.Globalization;
using System.Text;

namespace Microsoft.ML.Leap;

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
        string text = Encoding.UTF8.GetString(BoundedStream.ReadAll(stream, MaximumLength, FileName));
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
