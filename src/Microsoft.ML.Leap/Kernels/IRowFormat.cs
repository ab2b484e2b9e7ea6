using System.Runtime.Intrinsics;

namespace Microsoft.ML.Leap;

/// <summary>How single-precision numbers lie in memory, for kernels that compute in single precision whatever the storage.</summary>
/// <typeparam name="TValue">One stored number.</typeparam>
internal unsafe interface IRowFormat<TValue>
    where TValue : unmanaged
{
    static abstract float Load(TValue* source);

    static abstract void Store(float value, TValue* target);

    static abstract Vector256<float> LoadVector(TValue* source);

    static abstract void StoreVector(Vector256<float> values, TValue* target);
}
