using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A part of a sequence in a chunk.</summary>
/// <param name="Sequence">The sequence's number.</param>
/// <param name="FirstToken">The part's first token in the sequence.</param>
/// <param name="Count">Tokens.</param>
/// <param name="Row">Where they stand in the chunk.</param>
/// <param name="State">What the part goes on from; null where the sequence begins and ends in it.</param>
internal readonly record struct Part(int Sequence, int FirstToken, int Count, int Row, NetworkState? State);

/// <summary>A chunk of tokens, sequences end to end, and the memory for what is computed on the way through a network.</summary>
internal sealed unsafe class Scratch : IDisposable
{
    private readonly int[] _partOfRow;
    private readonly int _hiddenSize;
    private readonly int _headCount;
    private readonly int _projectionsSize;
    private readonly int _feedForwardSize;
    private readonly float* _x;
    private readonly float* _normed;
    private readonly float* _attended;
    private readonly float* _inner;
    private readonly float* _focus;
    private readonly float* _gates;
    private readonly float* _kept;

    public Scratch(LeapConfig config, int capacity)
    {
        Capacity = capacity;
        Ids = new int[capacity];
        Positions = new int[capacity];
        _partOfRow = new int[capacity];
        _hiddenSize = config.HiddenSize;
        _headCount = config.HeadCount;
        _projectionsSize = config.ProjectionsSize;
        _feedForwardSize = config.FeedForwardSize;
        long values = (long)capacity * _hiddenSize;
        long heads = (long)capacity * _headCount;

        // The projections take less.
        long inner = (long)capacity * _feedForwardSize;
        _x = (float*)NativeMemory.AlignedAlloc((nuint)(3 * values + inner + 3 * heads) * sizeof(float), 64);
        _normed = _x + values;
        _attended = _normed + values;
        _inner = _attended + values;
        _focus = _inner + inner;
        _gates = _focus + heads;
        _kept = _gates + heads;
    }

    ~Scratch() => NativeMemory.AlignedFree(_x);

    /// <summary>Gets how many tokens fit in.</summary>
    public int Capacity { get; }

    /// <summary>Gets how many tokens there are.</summary>
    public int Count { get; private set; }

    public List<Part> Parts { get; } = [];

    public int[] Ids { get; }

    /// <summary>Gets the position as which each token is read.</summary>
    public int[] Positions { get; }

    /// <summary>Gives the residual stream from a row on, [d] per row.</summary>
    public float* GetX(int row) => _x + (long)row * _hiddenSize;

    /// <summary>Gives the part of a sequence to which a row belongs.</summary>
    public Part GetPart(int row) => Parts[_partOfRow[row]];

    /// <summary>Gives what a norm makes of it, [d] per row.</summary>
    public float* GetNormed(int row) => _normed + (long)row * _hiddenSize;

    /// <summary>Gives what attention makes of it, or a convolution, [d] per row.</summary>
    public float* GetAttended(int row) => _attended + (long)row * _hiddenSize;

    /// <summary>Gives the projections, [2 d + 2 H r] per row, where <see cref="GetFedForward"/> writes later.</summary>
    public float* GetProjections(int row) => _inner + (long)row * _projectionsSize;

    /// <summary>Gives what is between boom and unboom, where the projections were.</summary>
    public float* GetFedForward(int row) => _inner + (long)row * _feedForwardSize;

    /// <summary>Gives the focus weights, [H] per row.</summary>
    public float* GetFocus(int row) => _focus + (long)row * _headCount;

    /// <summary>Gives the gates, [H] per row.</summary>
    public float* GetGates(int row) => _gates + (long)row * _headCount;

    /// <summary>Gives what the forget gates keep, [H] per row.</summary>
    public float* GetKept(int row) => _kept + (long)row * _headCount;

    public void Clear()
    {
        Parts.Clear();
        Count = 0;
    }

    /// <summary>Adds a part of a sequence.</summary>
    /// <param name="sequence">The sequence's number.</param>
    /// <param name="firstToken">The part's first token in the sequence.</param>
    /// <param name="ids">Its token ids.</param>
    /// <param name="state">What it goes on from; null where the sequence begins and ends in it.</param>
    /// <param name="contextLength">Learned positions. A later token is read as if it stood at the last of them.</param>
    public void Add(int sequence, int firstToken, ReadOnlySpan<int> ids, NetworkState? state, int contextLength)
    {
        ids.CopyTo(Ids.AsSpan(Count));
        long position = state?.Position ?? 0;
        for (int i = 0; i < ids.Length; i++)
            Positions[Count + i] = (int)Math.Min(position + i, contextLength - 1);
        _partOfRow.AsSpan(Count, ids.Length).Fill(Parts.Count);
        Parts.Add(new Part(sequence, firstToken, ids.Length, Count, state));
        Count += ids.Length;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_x);
        GC.SuppressFinalize(this);
    }
}
