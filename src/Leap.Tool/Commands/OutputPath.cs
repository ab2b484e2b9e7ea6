namespace Leap.Tool;

/// <summary>Refuses places for a command's result before the command works for it.</summary>
internal static class OutputPath
{
    /// <summary>Requires of a path that a file can be written there.</summary>
    /// <exception cref="UsageException">There is a folder.</exception>
    public static void RequireFile(string output)
    {
        if (Directory.Exists(output))
            throw new UsageException($"{output} is a folder: name a file in it.");
    }

    /// <summary>Requires of a path that it is none of those that the command reads: the result would take its place.</summary>
    /// <exception cref="UsageException">It is one of them.</exception>
    public static void RequireOther(string output, string? model, params IEnumerable<InputFile> files)
    {
        if (model is not null && IsSame(output, model))
            throw new UsageException($"{output} is the model itself: write to another place.");
        if (files.Any(file => !file.IsStandardInput && IsSame(output, file.Path)))
            throw new UsageException($"{output} is one of the files to read: write to another place.");
    }

    // Elsewhere a file's name may be the same in capitals.
    private static bool IsSame(string path, string other) => string.Equals(
        Path.GetFullPath(path), Path.GetFullPath(other), OperatingSystem.IsLinux() ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase);
}
