using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Whole safetensors files on disk.</summary>
internal static class SafeTensors
{
    /// <summary>Reads every tensor of a file into new CPU tensors of the file's own types, which the caller disposes.</summary>
    /// <exception cref="FormatException">The file is not a valid safetensors file.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static IReadOnlyDictionary<string, Tensor> Load(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Load(stream, stream.Length, Path.GetFileName(path));
    }

    /// <summary>Reads every tensor of a stream into new CPU tensors of the file's own types, which the caller disposes.</summary>
    /// <exception cref="FormatException">The stream is not a valid safetensors file.</exception>
    public static IReadOnlyDictionary<string, Tensor> Load(Stream stream, long length, string source)
    {
        var reader = new SafeTensorsReader(stream, length, source);
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        using DisposeScope scope = NewDisposeScope();
        reader.ReadTensors(info => tensors[info.Name] = empty(info.Shape, dtype: info.Type));
        foreach (Tensor tensor in tensors.Values)
            tensor.MoveToOuterDisposeScope();
        return tensors;
    }

    /// <summary>Writes a file, each tensor once.</summary>
    /// <exception cref="ArgumentException">A name is given twice or is the format's own, or a tensor's type is not in the format.</exception>
    public static void Save(string path, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using FileStream stream = File.Create(path);
        SafeTensorsWriter.Write(stream, tensors);
    }
}
