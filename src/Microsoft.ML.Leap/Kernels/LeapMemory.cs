using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Where the passes of LEAP attention read and write.</summary>
internal sealed unsafe class LeapMemory
{
    /// <param name="projections">[B, N, 4 d]: the parts Q, F1, F2 and U; of single precision or bfloat16.</param>
    /// <param name="padding">[B, N], if any.</param>
    /// <param name="output">[B, N, d]: the attention's output, or in the backward pass its gradient.</param>
    /// <param name="saved">What the backward pass needs, if there is to be one.</param>
    /// <param name="sums">What the sequences go on from; null where they begin.</param>
    public LeapMemory(Tensor projections, Tensor? padding, Tensor output, LeapSaved? saved, CarriedSums? sums = null)
    {
        Sums = sums;
        Projections = projections.dtype == ScalarType.BFloat16 ? RawMemory.BFloat16s(projections) : RawMemory.Singles(projections);
        Output = RawMemory.Singles(output);
        if (padding is not null)
            Padding = RawMemory.Booleans(padding);
        if (saved is null)
            return;

        Means = RawMemory.Singles(saved.Means);
        Focus = RawMemory.Singles(saved.Focus);
        Totals = RawMemory.Singles(saved.Totals);
    }

    /// <summary>The memory of one pass without gradients, outside of tensors.</summary>
    public LeapMemory(float* projections, float* output, CarriedSums sums)
    {
        Projections = projections;
        Output = output;
        Sums = sums;
    }

    /// <summary>Gets the projections' memory, of whatever type they have.</summary>
    public void* Projections { get; }

    public float* Output { get; }

    public bool* Padding { get; }

    /// <summary>Gets M before dropout, [B, H, N] padded rows.</summary>
    public float* Means { get; }

    /// <summary>Gets f, [B, H, N].</summary>
    public float* Focus { get; }

    /// <summary>Gets the sum of f in each token's window, [B, H, N].</summary>
    public float* Totals { get; }

    /// <summary>Gets what the sequences go on from; null where they begin.</summary>
    public CarriedSums? Sums { get; }
}
