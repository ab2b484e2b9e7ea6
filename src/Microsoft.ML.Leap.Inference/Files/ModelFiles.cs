namespace Microsoft.ML.Leap;

/// <summary>The files of a model, the same in a folder and in ML.NET's zip; the tokenizer names its own.</summary>
internal static class ModelFileNames
{
    /// <summary>The network's shape, as Hugging Face keeps it.</summary>
    public const string Config = "config.json";

    /// <summary>The weights, each once.</summary>
    public const string Weights = "model.safetensors";

    /// <summary>The counted n-grams; a model may have none.</summary>
    public const string Memory = "memory.safetensors";

    /// <summary>How the model was trained.</summary>
    public const string Recipe = "recipe.json";

    /// <summary>Settings of this package that are not the network's shape.</summary>
    public const string Settings = "leap.json";
}

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

/// <summary>A place that takes a model as named files.</summary>
internal interface IModelTarget
{
    /// <summary>Creates a file, lets <paramref name="write"/> fill it, and closes it. A name is written once.</summary>
    void Write(string name, Action<Stream> write);
}
