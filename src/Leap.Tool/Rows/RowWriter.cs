using System.Text;

namespace Leap.Tool;

/// <summary>Writes rows one after another.</summary>
internal abstract class RowWriter : IDisposable
{
    /// <summary>Writes a row.</summary>
    /// <exception cref="FormatException">The row does not fit the format, or the rows before.</exception>
    public abstract void Write(Row row);

    /// <summary>Writes what is still to be written, after the last row.</summary>
    public virtual void Complete()
    {
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>Requires of a table's row the fields of the first one.</summary>
    protected static void RequireSame(string[] names, KeyValuePair<string, object?>[] fields)
    {
        if (!names.SequenceEqual(fields.Select(field => field.Key)))
        {
            throw new FormatException(
                $"The rows have different fields, which a table cannot hold: {string.Join(", ", fields.Select(field => field.Key))} after "
                + $"{string.Join(", ", names)}. Write them as JSON Lines, with --to jsonl.");
        }
    }
}

/// <summary>A file that is written beside its place, under the name with .part, and moved there when it is complete: who sees it sees all of it.</summary>
internal sealed class OutputFile : IDisposable
{
    private const string Unfinished = ".part";

    private readonly string _path;
    private bool _isComplete;

    private OutputFile(string path, FileStream stream)
    {
        _path = path;
        Stream = stream;

        // It closes the stream, and once it did, to close it again does nothing: one that leaves the stream open would write at each end.
        Text = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16);
    }

    public FileStream Stream { get; }

    public StreamWriter Text { get; }

    /// <summary>Begins a file.</summary>
    /// <param name="path">Where it will be; what is there is replaced in the end.</param>
    /// <exception cref="IOException">The folder does not exist, or another process writes the same file.</exception>
    public static OutputFile Create(string path)
    {
        string part = path + Unfinished;
        try
        {
            return new OutputFile(path, new FileStream(part, FileMode.Create, FileAccess.ReadWrite, FileShare.None));
        }
        catch (DirectoryNotFoundException)
        {
            throw new IOException($"There is no folder for {path}.");
        }
        catch (IOException e) when (File.Exists(part))
        {
            throw new IOException($"{part} is being written by another process, or cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Closes the file, and moves it to its place.</summary>
    public void Complete()
    {
        Text.Flush();
        Stream.Flush(flushToDisk: true);

        // Windows moves and deletes no file that is open.
        Text.Dispose();
        File.Move(_path + Unfinished, _path, overwrite: true);
        _isComplete = true;
    }

    public void Dispose()
    {
        try
        {
            Text.Dispose();
        }
        finally
        {
            if (!_isComplete)
                File.Delete(_path + Unfinished);
        }
    }
}
