using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What a safetensors header says of one tensor.</summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Type">The type of its elements in the file.</param>
/// <param name="Shape">Its dimensions, each at least 0; none for a scalar.</param>
/// <param name="Begin">Where its data begin, in bytes after the header.</param>
/// <param name="End">Where its data end, in bytes after the header.</param>
internal sealed record SafeTensorInfo(string Name, ScalarType Type, long[] Shape, long Begin, long End)
{
    /// <summary>Gets the number of elements.</summary>
    public long Count => (End - Begin) / SafeTensorsType.SizeOf(Type);
}
