using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>A folder of checkpoints, one a subfolder named by its step. A checkpoint is written under a temporary name and renamed, so
/// that one with a final name is whole.</summary>
internal sealed class CheckpointFolder(string folder)
{
    private const string Prefix = "step-";
    private const string TemporarySuffix = ".tmp";

    /// <summary>Gets the steps of the checkpoints, least first.</summary>
    public IReadOnlyList<long> Steps => !Directory.Exists(folder)
        ? []
        : [.. Directory.EnumerateDirectories(folder, Prefix + "*").Select(StepOf).OfType<long>().Order()];

    public string PathOf(long step) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D10}"));

    /// <summary>Writes the checkpoint of a step, if there is none.</summary>
    public void Write(long step, Action<IModelTarget> write)
    {
        string path = PathOf(step);
        if (Directory.Exists(path))
            return;
        string temporary = path + TemporarySuffix;
        DeleteIfExists(temporary);
        ModelFolder.Save(temporary, write);
        Directory.Move(temporary, path);
    }

    /// <summary>Deletes all but the latest checkpoints and the best one, and what killed runs left half-written.</summary>
    public void Prune(int kept, long? best)
    {
        foreach (long step in Steps.SkipLast(kept).Where(step => step != best))
        {
            // Renamed first: a half-deleted checkpoint must not look like a whole one.
            string temporary = PathOf(step) + TemporarySuffix;
            DeleteIfExists(temporary);
            Directory.Move(PathOf(step), temporary);
        }

        foreach (string temporary in Directory.EnumerateDirectories(folder, $"{Prefix}*{TemporarySuffix}").ToArray())
            Directory.Delete(temporary, recursive: true);
    }

    private static void DeleteIfExists(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }

    private static long? StepOf(string path) =>
        long.TryParse(Path.GetFileName(path.AsSpan())[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out long step) ? step : null;
}
