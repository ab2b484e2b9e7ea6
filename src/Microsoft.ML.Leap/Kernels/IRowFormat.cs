namespace Microsoft.ML.Leap;

/// <summary>How single-precision numbers lie in memory, for kernels that compute in single precision whatever the storage.</summary>
/// <typeparam name="TValue">One stored number.</typeparam>
internal unsafe interface IRowFormat<TValue>
    where TValue : unmanaged
{
    static abstract float Load(TValue* source);

    static abstract void Store(float value, TValue* target);

    static abstract TVector LoadVector<TVector>(TValue* source)
        where TVector : struct, IRowVector<TVector>;

    static abstract void StoreVector<TVector>(TVector values, TValue* target)
        where TVector : struct, IRowVector<TVector>;
}
