namespace Microsoft.ML.Leap;

/// <summary>What a LEAP attention layer is, apart from its numbers.</summary>
/// <param name="BatchSize">Sequences: B.</param>
/// <param name="Length">Tokens of a sequence: N.</param>
/// <param name="HeadCount">Heads: H.</param>
/// <param name="HeadSize">Values of a head: e, at least 2.</param>
/// <param name="Window">Tokens that a token sees, itself included.</param>
/// <param name="RescaleValue">What focus logits are scaled by.</param>
/// <param name="FocusMask">Dropout of the first factor of the focus, if any.</param>
/// <param name="MeanMask">Dropout of the focused mean, if any.</param>
/// <param name="Documents">The documents that a sequence is made of; null for one.</param>
internal sealed record LeapShape(
    int BatchSize,
    int Length,
    int HeadCount,
    int HeadSize,
    int Window,
    double RescaleValue,
    NoiseMask? FocusMask,
    NoiseMask? MeanMask,
    PackedDocuments? Documents = null)
{
    /// <summary>Added to a standard deviation before it divides.</summary>
    public const float Epsilon = 1e-5f;

    /// <summary>Gets the values of a token: d.</summary>
    public int HiddenSize => HeadCount * HeadSize;

    /// <summary>Gets the values of a head and zeros after them, up to a whole number of SIMD vectors.</summary>
    public int RowSize { get; } = SlidingSumsForm.RowSizeOf(HeadSize);

    /// <summary>Gets the form of the sums over the window, for a sequence that begins and ends in the pass.</summary>
    public SlidingSumsForm Sums => new(Window < (Documents?.Longest ?? Length) ? Window : 0, RowSize);

    /// <summary>Gets what the sum over a head of F1 F2 is multiplied by.</summary>
    public float FocusScale { get; } = (float)(RescaleValue / HeadSize);

    /// <summary>Gets what the sum over a head of Q M is multiplied by.</summary>
    public float GateScale { get; } = (float)(1 / Math.Sqrt(HeadSize));

    /// <summary>Returns the gate a that belongs to a sum over a head of Q M.</summary>
    public float Gate(float product) => 1 / (1 + MathF.Exp(-product * GateScale));

    /// <summary>Tells whether a token sees nothing of the tokens before it.</summary>
    public bool StartsDocument(int token) => Documents is not null && Documents.Starts[token];

    /// <summary>Runs a pass over each sequence and head.</summary>
    public void ForEachHead(Func<IHeadPass> createPass)
    {
        const long small = 1 << 13;
        bool isSmall = (long)BatchSize * Length * HiddenSize < small;
        CpuWork.ForEach(BatchSize * HeadCount, isSmall, createPass, (pass, i) => pass.Run(i / HeadCount, i % HeadCount));
    }
}
