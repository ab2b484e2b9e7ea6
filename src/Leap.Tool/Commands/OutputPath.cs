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
}
