using System.Buffers;
using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A model's memory: n-grams that were counted in the training texts, and how much they count beside the network:
/// <c>p ~ p(network)^a p(memory)^b</c>, a log-linear interpolation (Klakow 1998). Immutable, and therefore thread-safe.</summary>
/// <remarks>What the memory says depends on the last few tokens alone, so that it needs no state, and one token costs the same at every
/// place of a text.</remarks>
internal sealed class ModelMemory
{
    private const string IdsName = "ids";
    private const string ChildrenName = "children";
    private const string SharesName = "shares";
    private const string OrderName = "order";
    private const string ExponentsName = "exponents";
    private const string GateName = "gate";
    private const int GateLength = 2;

    // A vocabulary of bytes, or little more, needs longer n-grams.
    private const int FewTokens = 320;
    private const int OrderOfBytes = 12;
    private const int Order = 5;

    // After n-grams that were counted very often, what never followed has a probability below the least float.
    private const float LeastProbability = 1e-30f;

    // What mixing takes, in multiplications per token id.
    private const int MixingCost = 32;

    private readonly NGramMemory _ngrams;
    private readonly MemoryExponents _exponents;
    private readonly TextGate _gate;
    private readonly int _endOfTextId;

    /// <param name="ngrams">The n-grams.</param>
    /// <param name="exponents">How much they count.</param>
    /// <param name="gate">How much it counts what a text itself said.</param>
    /// <param name="endOfTextId">The token after which a document begins.</param>
    public ModelMemory(NGramMemory ngrams, MemoryExponents exponents, TextGate gate, int endOfTextId)
    {
        _ngrams = ngrams;
        _exponents = exponents;
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

    /// <summary>Makes what counts what a text itself has said.</summary>
    public TextMemory CreateTextMemory() => new(_ngrams.VocabularySize <= FewTokens, _endOfTextId, _gate);

    public NGramMemory.Reader CreateReader() => new(_ngrams, _endOfTextId);

    /// <summary>Mixes the memory into the logits at some places of texts.</summary>
    /// <param name="places">What was read there; asked for as far as rows are.</param>
    /// <param name="workers">The threads to share work among.</param>
    public LogitMixing Mix(IEnumerable<NGramMemory.Reader> places, WorkSharing workers)
    {
        IEnumerator<NGramMemory.Reader> all = places.GetEnumerator();
        return (count, size, factors, added) =>
        {
            var next = new NGramMemory.Reader[count];
            for (int i = 0; i < count; i++)
            {
                all.MoveNext();
                next[i] = all.Current;
            }

            workers.For(count, (long)count * size * MixingCost, i => factors[i] = Mix(next[i], added.AsSpan(i * size, size)));
        };
    }

    /// <summary>Turns the network's logits into those of both models together.</summary>
    /// <param name="logits">At least as many as the memory has token ids.</param>
    /// <param name="recent">The last tokens, as many as <see cref="ContextLength"/> or all that there are, the end-of-text start among
    /// them.</param>
    public void Mix(Span<float> logits, ReadOnlySpan<int> recent)
    {
        NGramMemory.Reader reader = CreateReader();
        foreach (int id in recent)
            reader.Read(id);
        float[] rented = ArrayPool<float>.Shared.Rent(logits.Length);
        Span<float> added = rented.AsSpan(0, logits.Length);
        float factor = Mix(reader, added);
        TensorPrimitives.MultiplyAdd(logits, factor, added, logits);
        ArrayPool<float>.Shared.Return(rented);
    }

    /// <summary>Tells how much of a token's probability came from the memory: its probability there times its exponent, as a part of the sum
    /// of this of both models.</summary>
    /// <param name="reader">Has read what is before the token, and reads the token.</param>
    /// <param name="id">The token.</param>
    /// <param name="networkLoss">The negative natural logarithm of the probability that the network alone gives it.</param>
    public double ReadShare(NGramMemory.Reader reader, int id, double networkLoss)
    {
        (float network, float memory) = _exponents.Get(GetContext(reader));
        double remembered = memory * Math.Max(LeastProbability, reader.Read(id));
        return remembered / (network * Math.Exp(-networkLoss) + remembered);
    }

    /// <summary>Tells what is known at a place of a text.</summary>
    public static MemoryContext GetContext(NGramMemory.Reader reader) => new((float)reader.Matched / Math.Max(1, reader.Order - 1), reader.Left);

    /// <summary>Gives the logarithm of each token's probability by the counts alone.</summary>
    /// <param name="reader">Has read what is before the token.</param>
    /// <param name="logarithms">To be filled, [V]; those beyond the memory's vocabulary get the least.</param>
    public static void WriteLogarithms(NGramMemory.Reader reader, Span<float> logarithms)
    {
        Span<float> known = logarithms[..reader.VocabularySize];
        reader.WriteProbabilities(known);
        logarithms[known.Length..].Clear();
        TensorPrimitives.Max(logarithms, LeastProbability, logarithms);
        TensorPrimitives.Log<float>(logarithms, logarithms);
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
                CreateTensor(OrderName, 1, _ => _ngrams.Order),
                new SafeTensor(ExponentsName, SafeTensorsType.Float32, [MemoryExponents.WeightCount], target => target.Write(MemoryMarshal.AsBytes(_exponents.Weights))),
                new SafeTensor(GateName, SafeTensorsType.Float32, [GateLength], target => target.Write(MemoryMarshal.AsBytes<float>([_gate.Bias, _gate.Slope]))),
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
        if (Find(OrderName, SafeTensorsType.Int16, SafeTensorsType.Int32).Count != 1 || Find(ExponentsName, SafeTensorsType.Float32).Count != MemoryExponents.WeightCount
            || Find(GateName, SafeTensorsType.Float32).Count != GateLength)
        {
            throw new FormatException(
                $"{Source}: the tensors '{OrderName}', '{ExponentsName}' and '{GateName}' must have 1, {MemoryExponents.WeightCount} and {GateLength} values.");
        }

        int[] order = new int[1];
        float[] weights = new float[MemoryExponents.WeightCount];
        float[] gate = new float[GateLength];
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
                case OrderName:
                    info.Type.ToInt32(bytes, order.AsSpan((int)start, length));
                    break;
                case ExponentsName:
                    info.Type.ToSingle(bytes, weights.AsSpan((int)start, length));
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
                if (order[0] is < 1 or > NGramMemory.MaximumOrder)
                    throw new FormatException($"The memory's n-grams of {order[0]} tokens must have from 1 to {NGramMemory.MaximumOrder}.");
                var textGate = new TextGate(gate[0], gate[1]);
                if (!textGate.IsValid)
                    throw new FormatException($"The gate's numbers are {gate[0]} and {gate[1]}, but must be from -100 to 100.");
                return new ModelMemory(
                    NGramMemory.Create(order[0], tokenizer.VocabularySize, ids, children, shares), new MemoryExponents(weights), textGate, tokenizer.EndOfTextId);
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

    private float Mix(NGramMemory.Reader reader, Span<float> added)
    {
        (float network, float memory) = _exponents.Get(GetContext(reader));
        WriteLogarithms(reader, added);
        TensorPrimitives.Multiply(added, memory, added);
        return network;
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
