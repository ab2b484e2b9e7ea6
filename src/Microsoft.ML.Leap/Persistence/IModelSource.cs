namespace Microsoft.ML.Leap;

/// <summary>A saved model seen as named files, wherever they are.</summary>
internal interface IModelSource
{
    /// <summary>Gets whether there is a file of this name.</summary>
    bool Contains(string name);

    /// <summary>Opens a file at its first byte, gives it to <paramref name="read"/> and closes it. The stream knows its length.</summary>
    /// <exception cref="FormatException">The file is missing from an archive, or cannot be decompressed.</exception>
    /// <exception cref="FileNotFoundException">The file is missing from a folder.</exception>
    T Read<T>(string name, Func<Stream, T> read);
}
