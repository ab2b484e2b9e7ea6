using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Reads a checkpoint in two steps: the header is compared with the configuration before the network is built, so that
/// a configuration that promises more than the file holds costs nothing; then the weights go into the network.</summary>
internal sealed class CheckpointReader
{
    private readonly SafeTensorsReader _reader;
    private readonly LeapConfig _config;
    private readonly string _source;

    /// <summary>Reads and checks the header.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="length">The file's length in bytes.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="FormatException">The header is malformed, or its tensors are not those of such a network.</exception>
    public CheckpointReader(Stream stream, long length, LeapConfig config, string source = ModelFileNames.Weights)
    {
        _config = config;
        _source = source;
        _reader = new SafeTensorsReader(stream, length, source);

        Dictionary<string, long[]> got = _reader.Tensors.ToDictionary(info => info.Name, info => info.Shape, StringComparer.Ordinal);
        Dictionary<string, long[]> expected = Checkpoint.ExpectedShapes(config);
        if (got.ContainsKey(Checkpoint.TiedOutput))
            expected[Checkpoint.TiedOutput] = expected[Checkpoint.WordEmbedding];
        if (Checkpoint.FindFault(expected, got) is { } fault)
            throw new FormatException($"{source}: {fault}");
        foreach (SafeTensorInfo info in _reader.Tensors)
            RequireFloat(info);
    }

    /// <summary>Reads the weights, converting them to the destinations' type.</summary>
    /// <param name="parameters">The network's tensors by name, as <see cref="Checkpoint.ExpectedShapes"/> has them. They are changed in
    /// place, and after an exception hold any mixture of old and new values.</param>
    /// <exception cref="FormatException">The file is truncated, a weight is not finite, or the tied matrix is stored twice and
    /// differently.</exception>
    /// <exception cref="ArgumentException">A tensor is missing from <paramref name="parameters"/>, or has another shape.</exception>
    public void ReadInto(IReadOnlyDictionary<string, Tensor> parameters)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor? tied = null;
        _reader.ReadTensors(
            info => info.Name == Checkpoint.TiedOutput ? tied = empty(info.Shape) : DestinationOf(info, parameters),
            requireFinite: true);
        if (tied is not null && !tied.equal(parameters[Checkpoint.WordEmbedding].detach().cpu().to(ScalarType.Float32)).all().item<bool>())
        {
            throw new FormatException(
                $"{_source}: tensor '{Checkpoint.TiedOutput}' must equal '{Checkpoint.WordEmbedding}', to which it is tied, but differs.");
        }
    }

    private Tensor DestinationOf(SafeTensorInfo info, IReadOnlyDictionary<string, Tensor> parameters) =>
        parameters.TryGetValue(info.Name, out Tensor? tensor)
            ? tensor
            : throw new ArgumentException($"The network has no tensor '{info.Name}', which one of {_config} must have.", nameof(parameters));

    private void RequireFloat(SafeTensorInfo info)
    {
        if (!SafeTensorsType.IsFloat(info.Type))
        {
            throw new FormatException(
                $"{_source}: tensor '{info.Name}' must hold floating-point numbers, but holds {SafeTensorsType.NameOf(info.Type)}.");
        }
    }
}
