namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Turns the faults that a user can mend into a line on the error stream and an exit code.</summary>
internal static class ReadableErrors
{
    public static int Run(Action action)
    {
        try
        {
            action();
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException
            or ArgumentException or InvalidOperationException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }
}
