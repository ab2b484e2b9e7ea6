using System.Text;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The distinct lines of a file in an order of a fixed seed: the first ones held out, those after them to train on.</summary>
internal sealed record HeldOutRows(string[] Training, string[] HeldOut)
{
    private const int MostHeldOut = 1000;

    public long TrainingBytes => Bytes(Training);

    public long HeldOutBytes => Bytes(HeldOut);

    /// <param name="path">The file.</param>
    /// <param name="trainingRows">How many rows to train on at most; <see langword="null"/> for all.</param>
    /// <exception cref="InvalidDataException">It has too few lines.</exception>
    public static HeldOutRows Read(string path, int? trainingRows)
    {
        string[] lines = [.. TextFile.ReadLines(path).Select(line => line.TrimEnd('\r')).Where(line => !string.IsNullOrWhiteSpace(line)).Distinct(StringComparer.Ordinal)];
        if (lines.Length < 8)
            throw new InvalidDataException($"'{path}' has {lines.Length} different lines; at least 8 are needed.");
        new Random(1).Shuffle(lines);
        int heldOut = Math.Min(MostHeldOut, lines.Length / 4);
        return new HeldOutRows([.. lines.Skip(heldOut).Take(trainingRows ?? int.MaxValue)], lines[..heldOut]);
    }

    private static long Bytes(string[] rows) => rows.Sum(row => (long)Encoding.UTF8.GetByteCount(row));
}
