namespace Microsoft.ML.Leap;

/// <summary>A place that takes a model as named files.</summary>
internal interface IModelTarget
{
    /// <summary>Creates a file, lets <paramref name="write"/> fill it, and closes it. A name is written once.</summary>
    void Write(string name, Action<Stream> write);
}
