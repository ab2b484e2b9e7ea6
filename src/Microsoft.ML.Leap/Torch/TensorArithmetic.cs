using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Arithmetic that is safe against a garbage collection by another thread.</summary>
/// <remarks>TorchSharp's <c>x * 0.5</c> and <c>x + y</c> wrap a number in a scalar that nothing refers to any more once its native pointer is read:
/// where another thread sets off a collection at that moment, it is freed while native code reads it, and the operation throws. Here every scalar
/// lives until the operation is over. BannedSymbols.txt forbids the other forms in this project.</remarks>
internal static class TensorArithmetic
{
    private static readonly Scalar One = 1.ToScalar();

    /// <summary>Returns x + y.</summary>
    public static Tensor Plus(this Tensor x, Tensor y) => x.add(y, One);

    /// <summary>Returns x + k y.</summary>
    public static Tensor Plus(this Tensor x, Tensor y, double k)
    {
        using Scalar scalar = k.ToScalar();
        return x.add(y, scalar);
    }

    /// <summary>Returns x + y.</summary>
    public static Tensor Plus(this Tensor x, double y)
    {
        using Scalar scalar = y.ToScalar();
        return x.add(scalar, One);
    }

    /// <summary>Returns x y.</summary>
    public static Tensor Times(this Tensor x, double y)
    {
        using Scalar scalar = y.ToScalar();
        return x.mul(scalar);
    }

    /// <summary>Adds y to x in place, and returns x.</summary>
    public static Tensor Add(this Tensor x, Tensor y) => x.add_(y, One);

    /// <summary>Adds a whole number to x in place, and returns x.</summary>
    public static Tensor Add(this Tensor x, long y)
    {
        using Scalar scalar = y.ToScalar();
        return x.add_(scalar, One);
    }

    /// <summary>Adds a number to x in place, and returns x.</summary>
    public static Tensor Add(this Tensor x, double y)
    {
        using Scalar scalar = y.ToScalar();
        return x.add_(scalar, One);
    }

    /// <summary>Adds k y to x in place, and returns x.</summary>
    public static Tensor Add(this Tensor x, Tensor y, double k)
    {
        using Scalar scalar = k.ToScalar();
        return x.add_(y, scalar);
    }

    /// <summary>Multiplies x by a whole number in place, and returns x.</summary>
    public static Tensor Multiply(this Tensor x, long y)
    {
        using Scalar scalar = y.ToScalar();
        return x.mul_(scalar);
    }

    /// <summary>Multiplies x by a number in place, and returns x.</summary>
    public static Tensor Multiply(this Tensor x, double y)
    {
        using Scalar scalar = y.ToScalar();
        return x.mul_(scalar);
    }
}
