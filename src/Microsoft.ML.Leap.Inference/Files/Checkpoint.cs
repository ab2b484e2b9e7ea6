using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>The weights of a network as a safetensors file; the names are those of the Python original.</summary>
/// <remarks>Matrices may be stored smaller: as bfloat16, or as 8-bit whole numbers beside a tensor of one scale per row, whose name ends
/// with <see cref="ScaleSuffix"/>. All else, the convolutions too, stays in single precision.</remarks>
internal static class Checkpoint
{
    /// <summary>The token embeddings, [V, d], which are the output matrix too.</summary>
    public const string WordEmbedding = "word_embedding.weight";

    /// <summary>The output matrix under a name of its own. The original may store it, equal to the embeddings; this package never does.</summary>
    public const string TiedOutput = "proj_logits.weight";

    /// <summary>What follows the name of a matrix of 8-bit numbers in the name of its scales.</summary>
    public const string ScaleSuffix = ".scale";

    private const int PieceLength = 1 << 18;

    /// <summary>Names every tensor of a network and gives its shape.</summary>
    public static Dictionary<string, long[]> GetExpectedShapes(LeapConfig config)
    {
        long d = config.HiddenSize;
        var shapes = new Dictionary<string, long[]>(StringComparer.Ordinal)
        {
            [WordEmbedding] = [config.VocabularySize, d],
            ["proj_logits.bias"] = [config.VocabularySize],
            ["last_norm.weight"] = [d],
            ["last_norm.bias"] = [d],
        };
        if (config.UsePositionEmbeddings)
            shapes["leap_model.position_embeddings.weight"] = [config.ContextLength, d];
        for (int l = 0; l < config.LayerCount; l++)
        {
            string block = $"leap_model.decoders.{l}.";
            foreach (string norm in (ReadOnlySpan<string>)["pre_norm", "boom_norm"])
            {
                shapes[$"{block}{norm}.weight"] = [d];
                shapes[$"{block}{norm}.bias"] = [d];
            }

            foreach (string convolution in (ReadOnlySpan<string>)["pre_convolution", "boom_convolution"])
            {
                if (config.ConvolutionSize > 0)
                    shapes[$"{block}{convolution}.weight"] = [config.ConvolutionSize, d];
            }

            shapes[block + "projections.weight"] = [config.ProjectionsSize, d];
            shapes[block + "boom.weight"] = [config.FeedForwardSize, d];
            shapes[block + "unboom.weight"] = [d, config.FeedForwardSize];
        }

        return shapes;
    }

    /// <summary>Writes a network's weights.</summary>
    /// <param name="stream">Where to. It stays open.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="weights">The weights by name, each in row-major order.</param>
    /// <param name="format">How matrices are stored.</param>
    /// <exception cref="ArgumentException">The weights are not those that a network of this shape has.</exception>
    public static void Write(
        Stream stream, LeapConfig config, IReadOnlyDictionary<string, float[]> weights, WeightFormat format = WeightFormat.Float32)
    {
        List<SafeTensor> tensors = [];
        foreach ((string name, long[] shape) in GetExpectedShapes(config))
        {
            long count = shape.Aggregate(1L, (product, dimension) => product * dimension);
            if (!weights.TryGetValue(name, out float[]? values) || values.Length != count)
                throw new ArgumentException($"The weights '{name}' must be {count} numbers.", nameof(weights));
            tensors.AddRange(CreateTensors(name, shape, values, IsMatrix(name, shape) ? format : WeightFormat.Float32));
        }

        SafeTensorsWriter.Write(stream, tensors);
    }

    /// <summary>Reads a network's weights, converted to single precision. The header is compared with the configuration first, so that a
    /// configuration that promises more than the file holds costs nothing.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="length">The file's length in bytes.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="FormatException">The file is malformed or truncated, its tensors are not those of such a network, a weight is not finite,
    /// or the tied matrix is stored twice and differently.</exception>
    public static Dictionary<string, float[]> Read(Stream stream, long length, LeapConfig config, string source = ModelFileNames.Weights) =>
        Read(stream, length, config, source, packed: null, WeightFormat.Float32);

    /// <summary>Reads a network, whose matrices are packed as they come: they are in memory once.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="length">The file's length in bytes.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="format">How weights are to lie in memory.</param>
    /// <param name="threadCount">Threads to use at most; 0 for as many as there are processors.</param>
    /// <inheritdoc cref="Read(Stream, long, LeapConfig, string)"/>
    public static LeapNetwork ReadNetwork(Stream stream, long length, LeapConfig config, WeightFormat format, int threadCount)
    {
        var packed = new Dictionary<string, PackedMatrix>(StringComparer.Ordinal);
        Dictionary<string, float[]> others = Read(stream, length, config, ModelFileNames.Weights, packed, format);
        return new LeapNetwork(config, others, format, threadCount, LeapNetwork.DefaultChunkLength, packed);
    }

    // What is packed is not among what is returned.
    private static Dictionary<string, float[]> Read(
        Stream stream, long length, LeapConfig config, string source, Dictionary<string, PackedMatrix>? packed, WeightFormat format)
    {
        var reader = new SafeTensorsReader(stream, length, source);
        bool hasTiedOutput = RequireExpected(reader.Tensors, config, source);
        var weights = new Dictionary<string, float[]>(StringComparer.Ordinal);
        if (packed is not null && !hasTiedOutput)
            AddMatrices(reader.Tensors, format, packed);
        float[] rows = [];
        reader.ReadTensors((info, start, bytes) =>
        {
            int count = bytes.Length / info.Type.GetSize();
            if (packed is null || !packed.TryGetValue(info.Name, out PackedMatrix? matrix))
            {
                if (start == 0)
                    weights[info.Name] = new float[info.Count];
                ReadValues(reader, info, bytes, weights[info.Name].AsSpan((int)start, count));
                return;
            }

            if (rows.Length < count)
                rows = new float[count];
            int firstRow = (int)(start / matrix.Columns);
            ReadValues(reader, info, bytes, rows.AsSpan(0, count));
            if (info.Type == SafeTensorsType.Int8)
                Scale(reader, info, rows.AsSpan(0, count), weights[info.Name + ScaleSuffix].AsSpan(firstRow, count / matrix.Columns));
            matrix.SetRows(firstRow, rows.AsSpan(0, count));
        });

        foreach (SafeTensorInfo info in reader.Tensors)
        {
            if (info.Type == SafeTensorsType.Int8)
            {
                float[] scales = RemoveScales(weights, info.Name);
                if (weights.TryGetValue(info.Name, out float[]? matrix))
                    Scale(reader, info, matrix, scales);
            }
        }

        if (weights.Remove(TiedOutput, out float[]? tied) && !weights.TryAdd(WordEmbedding, tied) && !tied.AsSpan().SequenceEqual(weights[WordEmbedding]))
            throw new FormatException($"{source}: tensor '{TiedOutput}' must equal '{WordEmbedding}', to which it is tied, but differs.");
        return weights;
    }

    /// <summary>Refuses a tensor of other than floating-point numbers.</summary>
    /// <exception cref="FormatException">It is one.</exception>
    public static void RequireFloat(SafeTensorInfo info, string source)
    {
        if (!info.Type.IsFloat())
            throw new FormatException($"{source}: tensor '{info.Name}' must hold floating-point numbers, but holds {info.Type.GetName()}.");
    }

    /// <summary>Compares what there is with what must be.</summary>
    /// <returns>The first difference in words; <see langword="null"/> for none.</returns>
    public static string? FindFault(Dictionary<string, long[]> expected, Dictionary<string, long[]> got)
    {
        foreach ((string name, long[] shape) in expected)
        {
            if (!got.TryGetValue(name, out long[]? actual))
                return $"Tensor '{name}' of shape [{string.Join(", ", shape)}] is missing.";
            if (!shape.AsSpan().SequenceEqual(actual))
                return $"Tensor '{name}' must have the shape [{string.Join(", ", shape)}], but has [{string.Join(", ", actual)}].";
        }

        foreach (string name in got.Keys)
        {
            if (!expected.ContainsKey(name))
                return $"Tensor '{name}' does not belong to a network of this configuration.";
        }

        return null;
    }

    // Makes those matrices that can be packed as they come, side by side: a block of all is large enough for huge pages.
    private static void AddMatrices(IReadOnlyList<SafeTensorInfo> tensors, WeightFormat format, Dictionary<string, PackedMatrix> packed)
    {
        List<(SafeTensorInfo Info, long Start)> places = [];
        long bytes = 0;
        var before = new HashSet<string>(StringComparer.Ordinal);
        foreach (SafeTensorInfo info in tensors)
        {
            before.Add(info.Name);

            // 8-bit numbers whose scales come after them wait for those.
            bool isComplete = info.Type.IsFloat() || before.Contains(info.Name + ScaleSuffix);
            if (!IsMatrix(info.Name, info.Shape) || !isComplete || !SafeTensorsReader.ComesInRows(info))
                continue;
            places.Add((info, bytes));
            long size = PackedMatrix.Measure((int)info.Shape[0], (int)info.Shape[1], format, HasBias(info));
            bytes += (size + NativeBlock.Alignment - 1) / NativeBlock.Alignment * NativeBlock.Alignment;
        }

        if (bytes == 0)
            return;
        var block = new NativeBlock(bytes);
        foreach ((SafeTensorInfo info, long start) in places)
            packed.Add(info.Name, new PackedMatrix((int)info.Shape[0], (int)info.Shape[1], format, HasBias(info), (block, start)));
        block.Release();

        static bool HasBias(SafeTensorInfo info) => info.Name == WordEmbedding;
    }

    // Convolutions are none: they have few weights, and all of a layer's matrices see what they make.
    private static bool IsMatrix(string name, long[] shape) => shape.Length == 2 && !name.EndsWith("_convolution.weight", StringComparison.Ordinal);

    private static void ReadValues(SafeTensorsReader reader, SafeTensorInfo info, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        if (info.Type == SafeTensorsType.Int8)
        {
            Int8Rows.Widen(MemoryMarshal.Cast<byte, sbyte>(bytes), values);
            return;
        }

        // After the conversion: a double can be finite and too large for single precision.
        info.Type.ToSingle(bytes, values);
        if (!AreFinite(values))
            throw reader.CreateNotFiniteException(info);
    }

    private static void Scale(SafeTensorsReader reader, SafeTensorInfo info, Span<float> rows, ReadOnlySpan<float> scales)
    {
        Int8Rows.Scale(rows, scales);

        // A scale can be finite, and what it scales too large.
        if (!AreFinite(rows))
            throw reader.CreateNotFiniteException(info);
    }

    // Returns whether the tied matrix is there under the output's name, alone or besides its own.
    private static bool RequireExpected(IReadOnlyList<SafeTensorInfo> tensors, LeapConfig config, string source)
    {
        // Without LINQ, here and in what calls this: it is an assembly that a process's start would wait for.
        var got = new Dictionary<string, long[]>(StringComparer.Ordinal);
        foreach (SafeTensorInfo info in tensors)
            got.Add(info.Name, info.Shape);
        Dictionary<string, long[]> expected = GetExpectedShapes(config);
        if (got.ContainsKey(TiedOutput))
        {
            // Of two names of one tensor, safetensors' save_model keeps either.
            expected[TiedOutput] = expected[WordEmbedding];
            if (!got.ContainsKey(WordEmbedding))
                expected.Remove(WordEmbedding);
        }

        foreach (SafeTensorInfo info in tensors)
        {
            if (info.Type == SafeTensorsType.Int8 && info.Shape.Length == 2 && expected.TryGetValue(info.Name, out long[]? shape))
                expected[info.Name + ScaleSuffix] = [shape[0]];
        }

        if (FindFault(expected, got) is string fault)
            throw new FormatException($"{source}: {fault}");
        foreach (SafeTensorInfo info in tensors)
        {
            if (info.Type != SafeTensorsType.Int8 || !got.ContainsKey(info.Name + ScaleSuffix))
                RequireFloat(info, source);
            if (info.Count > Array.MaxLength)
                throw new FormatException($"{source}: tensor '{info.Name}' has {info.Count} values, more than {Array.MaxLength}.");
        }

        return got.ContainsKey(TiedOutput);
    }

    // By their bits: calls are not inlined across assemblies in code that is compiled ahead of time, and a call per weight takes longer than
    // all else here.
    private static bool AreFinite(ReadOnlySpan<float> values)
    {
        const int exponent = 0x7F800000;
        foreach (int bits in MemoryMarshal.Cast<float, int>(values))
        {
            if ((bits & exponent) == exponent)
                return false;
        }

        return true;
    }

    private static float[] RemoveScales(Dictionary<string, float[]> weights, string name)
    {
        weights.Remove(name + ScaleSuffix, out float[]? scales);
        return scales!;
    }

    private static IEnumerable<SafeTensor> CreateTensors(string name, long[] shape, float[] values, WeightFormat format)
    {
        switch (format)
        {
            case WeightFormat.BFloat16:
                return [new SafeTensor(name, SafeTensorsType.BFloat16, shape, stream => WriteBFloat16(stream, values))];
            case WeightFormat.Int8:
                float[] scales = new float[shape[0]];
                sbyte[] numbers = Int8Rows.Quantize(values, scales);
                return
                [
                    new SafeTensor(name, SafeTensorsType.Int8, shape, stream => stream.Write(MemoryMarshal.AsBytes(numbers.AsSpan()))),
                    new SafeTensor(name + ScaleSuffix, SafeTensorsType.Float32, [shape[0]], stream => WriteSingles(stream, scales)),
                ];
            default:
                return [new SafeTensor(name, SafeTensorsType.Float32, shape, stream => WriteSingles(stream, values))];
        }
    }

    /// <summary>Cuts weights up, for there may be more of them than an array has bytes.</summary>
    public static IEnumerable<ArraySegment<float>> CutUp(float[] values)
    {
        for (int start = 0; start < values.Length;)
        {
            int count = Math.Min(PieceLength, values.Length - start);
            yield return new ArraySegment<float>(values, start, count);
            start += count;
        }
    }

    private static void WriteSingles(Stream stream, float[] values)
    {
        byte[] bytes = new byte[Math.Min(PieceLength, values.Length) * sizeof(float)];
        foreach (ReadOnlySpan<float> piece in CutUp(values))
        {
            for (int i = 0; i < piece.Length; i++)
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), piece[i]);
            stream.Write(bytes, 0, piece.Length * sizeof(float));
        }
    }

    private static void WriteBFloat16(Stream stream, float[] values)
    {
        byte[] bytes = new byte[Math.Min(PieceLength, values.Length) * sizeof(ushort)];
        foreach (ReadOnlySpan<float> piece in CutUp(values))
        {
            for (int i = 0; i < piece.Length; i++)
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * sizeof(ushort)), BFloat16Bits.RoundWeight(piece[i]));
            stream.Write(bytes, 0, piece.Length * sizeof(ushort));
        }
    }
}

/// <summary>Tells networks apart: SHA-256 of their shape and weights.</summary>
internal static class ModelFingerprint
{
    public static byte[] Compute(LeapConfig config, IReadOnlyDictionary<string, float[]> weights)
    {
        using var hash = System.Security.Cryptography.IncrementalHash.CreateHash(System.Security.Cryptography.HashAlgorithmName.SHA256);
        using (var shape = new MemoryStream())
        {
            ConfigJson.Write(shape, config);
            hash.AppendData(shape.ToArray());
        }

        foreach (string name in Checkpoint.GetExpectedShapes(config).Keys)
        {
            foreach (ReadOnlySpan<float> piece in Checkpoint.CutUp(weights[name]))
                hash.AppendData(MemoryMarshal.AsBytes(piece));
        }

        return hash.GetHashAndReset();
    }
}
