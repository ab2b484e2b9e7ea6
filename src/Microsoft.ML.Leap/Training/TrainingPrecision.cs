using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Leap;

/// <summary>In which precision training multiplies matrices. Weights, sums, norms, focus and loss are in single precision in any case, and
/// so is all of evaluation and scoring.</summary>
public enum TrainingPrecision
{
    /// <summary><see cref="BFloat16"/> on a CPU or CUDA GPU where it is the faster by a wide margin, which is measured once in the process and
    /// takes a fraction of a second; else, and for networks too small to gain, <see cref="Float32"/>.</summary>
    Auto,

    /// <summary>Single precision: 24 significant bits.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The field's standard term, as bfloat16 is.")]
    Float32,

    /// <summary>Factors and results of matrix products are rounded to bfloat16: 8 significant bits, and the range of single
    /// precision.</summary>
    BFloat16,
}
