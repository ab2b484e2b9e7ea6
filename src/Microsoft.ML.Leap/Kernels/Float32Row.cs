namespace Microsoft.ML.Leap;

/// <summary>Single-precision numbers as they are.</summary>
internal readonly unsafe struct Float32Row : IRowFormat<float>
{
    public static float Load(float* source) => *source;

    public static void Store(float value, float* target) => *target = value;

    public static TVector LoadVector<TVector>(float* source)
        where TVector : struct, IRowVector<TVector> => TVector.Load(source);

    public static void StoreVector<TVector>(TVector values, float* target)
        where TVector : struct, IRowVector<TVector> => values.Store(target);
}
