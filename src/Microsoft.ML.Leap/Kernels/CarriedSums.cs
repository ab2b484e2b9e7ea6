namespace Microsoft.ML.Leap;

/// <summary>The sums that an attention layer goes on from, of each sequence of a batch.</summary>
/// <param name="form">The form of a head's sums.</param>
/// <param name="sequences">Where each sequence's sums lie: those of its heads, one after another.</param>
internal sealed unsafe class CarriedSums(SlidingSumsForm form, nint[] sequences)
{
    public SlidingSumsForm Form => form;

    /// <summary>Gets where the sums of a sequence's head lie.</summary>
    public byte* Of(int sequence, int head) => (byte*)sequences[sequence] + head * form.Bytes;

    /// <summary>Goes on from another sequence in place of the first.</summary>
    public void SetFirst(byte* sequence) => sequences[0] = (nint)sequence;
}
