using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>The tokens of a byte-level BPE, and the merges that make long ones of short ones, in order of rank.</summary>
internal sealed class BytePairVocabulary
{
    public const string EndOfText = "<|endoftext|>";

    private readonly byte[][] _tokens;
    private readonly BytePairMerge[] _merges;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _ranks;
    private readonly int[] _byteIds = new int[256];

    public BytePairVocabulary(byte[][] tokens, BytePairMerge[] merges, int endOfTextId)
    {
        _tokens = tokens;
        _merges = merges;
        EndOfTextId = endOfTextId;
        _ranks = new Dictionary<(int, int), (int, int)>(merges.Length);
        for (int rank = 0; rank < merges.Length; rank++)
            _ranks.TryAdd((merges[rank].Left, merges[rank].Right), (rank, merges[rank].Id));

        Array.Fill(_byteIds, -1);
        for (int id = 0; id < tokens.Length; id++)
        {
            if (tokens[id].Length == 1)
                _byteIds[tokens[id][0]] = id;
        }

        int missing = Array.IndexOf(_byteIds, -1);
        if (missing >= 0)
            throw new FormatException($"The vocabulary has no token for the byte 0x{missing:X2}; byte-level BPE needs all 256.");
    }

    public int Count => _tokens.Length;

    public int EndOfTextId { get; }

    public IReadOnlyList<BytePairMerge> Merges => _merges;

    public ReadOnlyMemory<byte> this[int id] => _tokens[id];

    public int GetByteId(byte value) => _byteIds[value];

    public bool TryGetMerge(int left, int right, out (int Rank, int Id) merge) => _ranks.TryGetValue((left, right), out merge);

    public string GetName(int id) =>
        id == EndOfTextId ? Encoding.UTF8.GetString(_tokens[id]) : ByteLevelAlphabet.Write(_tokens[id]);
}
