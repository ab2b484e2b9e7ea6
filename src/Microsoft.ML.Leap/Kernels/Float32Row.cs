using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>Single-precision numbers as they are.</summary>
internal readonly unsafe struct Float32Row : IRowFormat<float>
{
    public static float Load(float* source) => *source;

    public static void Store(float value, float* target) => *target = value;

    public static Vector256<float> LoadVector(float* source) => Vector256.Load(source);

    public static void StoreVector(Vector256<float> values, float* target) => values.Store(target);
}
