namespace Microsoft.ML.Leap;

/// <summary>The files of a model, the same in a folder and in ML.NET's zip; the tokenizer names its own.</summary>
internal static class ModelFileNames
{
    /// <summary>The network's shape, as Hugging Face keeps it.</summary>
    public const string Config = "config.json";

    /// <summary>The weights, each once.</summary>
    public const string Weights = "model.safetensors";

    /// <summary>How the model was trained.</summary>
    public const string Recipe = "recipe.json";

    /// <summary>Settings of this package that are not the network's shape.</summary>
    public const string Settings = "leap.json";
}
