using System.Buffers;
using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>What a token's probability came to.</summary>
/// <param name="Loss">Its negative natural logarithm.</param>
/// <param name="MemoryShare">The part of it that came from the memory, from 0 to 1.</param>
internal readonly record struct MixedPrediction(double Loss, double MemoryShare);

/// <summary>A model's memory: n-grams that were counted in the training texts, and the gate that says how much of each prediction is theirs:
/// <c>p = (1 - g) p(network) + g p(memory)</c>. Immutable, and therefore thread-safe.</summary>
/// <remarks>What the memory says depends on the last few tokens alone, so that it needs no state, and one token costs the same at every
/// place of a text.</remarks>
internal sealed class ModelMemory
{
    private const string IdsName = "ids";
    private const string ChildrenName = "children";
    private const string SharesName = "shares";
    private const string GateName = "gate";

    // A vocabulary of bytes, or little more, needs longer n-grams.
    private const int FewTokens = 320;
    private const int OrderOfBytes = 12;
    private const int Order = 5;

    private readonly NGramMemory _ngrams;
    private readonly MemoryGate _gate;
    private readonly int _endOfTextId;

    /// <param name="ngrams">The n-grams.</param>
    /// <param name="gate">The gate, of their order.</param>
    /// <param name="endOfTextId">The token after which a document begins.</param>
    public ModelMemory(NGramMemory ngrams, MemoryGate gate, int endOfTextId)
    {
        _ngrams = ngrams;
        _gate = gate;
        _endOfTextId = endOfTextId;
    }

    /// <summary>Gets the number of n-grams.</summary>
    public int Count => _ngrams.Count;

    /// <summary>Gets the bytes that they take.</summary>
    public long SizeInBytes => _ngrams.SizeInBytes;

    /// <summary>Gets how many of the last tokens count.</summary>
    public int ContextLength => _ngrams.Order - 1;

    /// <summary>Gives the tokens of the longest n-grams that are worth counting.</summary>
    public static int ChooseOrder(int vocabularySize) => vocabularySize <= FewTokens ? OrderOfBytes : Order;

    public NGramMemory.Reader CreateReader() => new(_ngrams, _endOfTextId);

    /// <summary>Mixes the predictions of the last ids of a sequence.</summary>
    /// <param name="ids">The sequence.</param>
    /// <param name="predictions">The network's, of as many of the last ids.</param>
    /// <param name="reader">Has read the sequence's first id, and reads the others.</param>
    public MixedPrediction[] Mix(ReadOnlySpan<int> ids, ReadOnlySpan<TokenPrediction> predictions, NGramMemory.Reader reader)
    {
        int first = ids.Length - predictions.Length;
        var mixed = new MixedPrediction[predictions.Length];
        for (int i = 1; i < ids.Length; i++)
        {
            if (i < first)
                reader.Read(ids[i]);
            else
                mixed[i - first] = Mix(ids[i], predictions[i - first], reader);
        }

        return mixed;
    }

    /// <inheritdoc cref="Mix(ReadOnlySpan{int}, ReadOnlySpan{TokenPrediction}, NGramMemory.Reader)"/>
    public MixedPrediction[] Mix(ReadOnlySpan<int> ids, ReadOnlySpan<TokenPrediction> predictions)
    {
        NGramMemory.Reader reader = CreateReader();
        reader.Start(ids[0]);
        return Mix(ids, predictions, reader);
    }

    /// <summary>Turns the network's logits into the logarithms of the mixed probabilities.</summary>
    /// <param name="logits">At least as many as the memory has token ids; the network alone predicts those beyond.</param>
    /// <param name="recent">The last tokens, as many as <see cref="ContextLength"/> or all that there are, the end-of-text start among
    /// them.</param>
    public void Mix(Span<float> logits, ReadOnlySpan<int> recent)
    {
        NGramMemory.Reader reader = CreateReader();
        foreach (int id in recent)
            reader.Read(id);

        // Of logits that are not numbers nothing here is one, which the sampler refuses.
        TensorPrimitives.SoftMax(logits, logits);
        float confidence = MathF.Log(TensorPrimitives.Max<float>(logits));
        float part = (float)_gate.GetPart(new GateInput(reader.Matched, reader.Left, confidence));
        float[] rented = ArrayPool<float>.Shared.Rent(_ngrams.VocabularySize);
        Span<float> remembered = rented.AsSpan(0, _ngrams.VocabularySize);
        reader.WriteProbabilities(remembered);
        TensorPrimitives.Multiply(logits, 1 - part, logits);
        TensorPrimitives.MultiplyAdd(remembered, part, logits[..remembered.Length], logits[..remembered.Length]);
        ArrayPool<float>.Shared.Return(rented);
        TensorPrimitives.Log<float>(logits, logits);
    }

    /// <summary>Writes the memory as a safetensors file; its whole numbers have 16 bits where that is enough.</summary>
    /// <param name="stream">Where to. It stays open.</param>
    public void Write(Stream stream)
    {
        int count = _ngrams.Count;
        int parentCount = _ngrams.ParentCount;
        while (parentCount > 0 && _ngrams.GetChildCount(parentCount - 1) == 0)
            parentCount--;
        SafeTensorsWriter.Write(
            stream,
            [
                CreateTensor(IdsName, count, i => _ngrams.Ids[i]),
                CreateTensor(ChildrenName, parentCount, _ngrams.GetChildCount),
                new SafeTensor(SharesName, SafeTensorsType.BFloat16, [count], WriteShares),
                new SafeTensor(GateName, SafeTensorsType.Float32, [_gate.Weights.Length], target => target.Write(MemoryMarshal.AsBytes(_gate.Weights))),
            ]);
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="length">The file's length in bytes.</param>
    /// <returns>Makes the memory for the model's tokenizer; to be called once.</returns>
    /// <exception cref="FormatException">The file is damaged, or belongs to another tokenizer: thrown here or by what is returned.</exception>
    public static Func<LeapTokenizer, ModelMemory> Read(Stream stream, long length)
    {
        const string Source = ModelFileNames.Memory;
        var reader = new SafeTensorsReader(stream, length, Source);
        SafeTensorInfo idsInfo = Find(IdsName, SafeTensorsType.Int16, SafeTensorsType.Int32);
        int count = (int)idsInfo.Count;
        int childrenCount = (int)Find(ChildrenName, SafeTensorsType.Int16, SafeTensorsType.Int32).Count;
        if (childrenCount > count || Find(SharesName, SafeTensorsType.BFloat16).Count != count)
            throw new FormatException($"{Source}: the tensors '{IdsName}', '{ChildrenName}' and '{SharesName}' differ in length.");
        var ids = new TokenIds(count, isNarrow: idsInfo.Type == SafeTensorsType.Int16);
        var children = new NativeArray<int>(childrenCount);
        var shares = new NativeArray<ushort>(count);
        float[] gate = new float[Find(GateName, SafeTensorsType.Float32).Count];
        reader.ReadTensors((info, start, bytes) =>
        {
            int length = bytes.Length / info.Type.GetSize();
            switch (info.Name)
            {
                case IdsName:
                    ids.Read((int)start, info.Type, bytes);
                    break;
                case ChildrenName:
                    info.Type.ToInt32(bytes, children.AsSpan((int)start, length));
                    break;
                case SharesName:
                    ReadShares(bytes, shares.AsSpan((int)start, length));
                    break;
                case GateName:
                    info.Type.ToSingle(bytes, gate.AsSpan((int)start, length));
                    break;
            }
        });
        return Create;

        ModelMemory Create(LeapTokenizer tokenizer)
        {
            try
            {
                var weights = new MemoryGate(gate);
                if (weights.Order > NGramMemory.MaximumOrder)
                    throw new FormatException($"The memory's n-grams of {weights.Order} tokens are longer than {NGramMemory.MaximumOrder}.");
                return new ModelMemory(
                    NGramMemory.Create(weights.Order, tokenizer.VocabularySize, ids, children, shares), weights, tokenizer.EndOfTextId);
            }
            catch (FormatException e)
            {
                throw new FormatException($"{Source}: {e.Message}", e);
            }
        }

        SafeTensorInfo Find(string name, params SafeTensorsType[] types)
        {
            foreach (SafeTensorInfo info in reader.Tensors)
            {
                if (info.Name == name && Array.IndexOf(types, info.Type) >= 0 && info.Shape.Length == 1 && info.Count <= int.MaxValue / sizeof(int))
                    return info;
            }

            throw new FormatException(
                $"{Source}: the tensor '{name}' of {string.Join(" or ", types.Select(type => type.GetName()))} and one dimension is missing.");
        }
    }

    // The network's confidence is of what it predicts, whatever came.
    private MixedPrediction Mix(int id, TokenPrediction prediction, NGramMemory.Reader reader)
    {
        double part = _gate.GetPart(new GateInput(reader.Matched, reader.Left, prediction.Confidence));
        double remembered = part * reader.Read(id);
        double mixed = (1 - part) * Math.Exp(-prediction.Loss) + remembered;
        return new MixedPrediction(-Math.Log(mixed), remembered / mixed);
    }

    private static SafeTensor CreateTensor(string name, int count, Func<int, int> get)
    {
        bool isShort = true;
        for (int i = 0; i < count; i++)
            isShort &= get(i) is >= short.MinValue and <= short.MaxValue;
        SafeTensorsType type = isShort ? SafeTensorsType.Int16 : SafeTensorsType.Int32;
        return new SafeTensor(name, type, [count], stream =>
        {
            int size = type.GetSize();
            byte[] bytes = new byte[(long)count * size];
            for (int i = 0; i < count; i++)
            {
                if (isShort)
                    BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(i * size), (short)get(i));
                else
                    BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * size), get(i));
            }

            stream.Write(bytes);
        });
    }

    private static void ReadShares(ReadOnlySpan<byte> bytes, Span<ushort> shares)
    {
        MemoryMarshal.Cast<byte, ushort>(bytes).CopyTo(shares);
        if (!BitConverter.IsLittleEndian)
            BinaryPrimitives.ReverseEndianness(shares, shares);
    }

    private void WriteShares(Stream stream)
    {
        byte[] bytes = new byte[_ngrams.Count * sizeof(ushort)];
        for (int i = 0; i < _ngrams.Count; i++)
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * sizeof(ushort)), _ngrams.Shares[i]);
        stream.Write(bytes);
    }
}
