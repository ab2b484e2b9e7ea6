using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Compares the weights, the optimizer's state and the loss log of two checkpoints bit by bit.</summary>
internal static class CheckpointComparison
{
    /// <summary>Says where they differ first; <see langword="null"/> where they do not.</summary>
    public static string? FirstDifference(string left, string right)
    {
        foreach (string file in new[] { "model.safetensors", "optimizer.safetensors" })
        {
            using DisposeScope scope = NewDisposeScope();
            Dictionary<string, Tensor> a = Read(Path.Combine(left, file));
            Dictionary<string, Tensor> b = Read(Path.Combine(right, file));
            if (!a.Keys.ToHashSet().SetEquals(b.Keys))
                return $"{file}: the tensors' names differ";
            foreach (string name in a.Keys.Order(StringComparer.Ordinal))
            {
                if (FirstDifference(a[name], b[name]) is string difference)
                    return $"{file}: {name}{difference}";
            }
        }

        return null;
    }

    private static string? FirstDifference(Tensor a, Tensor b)
    {
        if (!a.shape.SequenceEqual(b.shape))
            return $": [{string.Join(", ", a.shape)}] or [{string.Join(", ", b.shape)}]";
        int at = a.bytes.CommonPrefixLength(b.bytes);
        if (at == a.bytes.Length)
            return null;
        long index = at / a.element_size();
        return $"[{index}]: {a.view(-1)[index].ToDouble():R} or {b.view(-1)[index].ToDouble():R}";
    }

    private static Dictionary<string, Tensor> Read(string path)
    {
        using FileStream stream = File.OpenRead(path);
        var reader = new SafeTensorsReader(stream, stream.Length, path);
        Dictionary<string, Tensor> tensors = reader.Tensors.ToDictionary(info => info.Name, info => zeros(info.Shape, info.Type));
        reader.ReadTensors(info => tensors[info.Name]);
        return tensors;
    }
}
