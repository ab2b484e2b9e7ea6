using System.Collections;
using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Leap;

/// <summary>A <see cref="FormatException"/> that arrives at the caller of <c>mlContext.Model.Load</c> as itself.</summary>
internal sealed class CorruptModelException : FormatException
{
    public CorruptModelException(FormatException inner)
        : base(inner.Message, inner)
    {
        Data = new UnwrappedData(this);
    }

    public override IDictionary Data { get; }
}

/// <summary>An <see cref="InvalidOperationException"/> about the machine, such as a GPU or native library that is not there, that arrives
/// at the caller of <c>mlContext.Model.Load</c> as itself.</summary>
internal sealed class ModelNotUsableException : InvalidOperationException
{
    public ModelNotUsableException(InvalidOperationException inner)
        : base(inner.Message, inner)
    {
        Data = new UnwrappedData(this);
    }

    public override IDictionary Data { get; }
}

/// <summary>The <see cref="Exception.Data"/> of an exception that ML.NET is not to wrap.</summary>
/// <remarks>ML.NET calls a component's loader by reflection, once for each level of a pipeline, so what the loader throws would come
/// out as a <see cref="System.Reflection.TargetInvocationException"/>, in a pipeline as several of them around each other: no
/// <c>catch (FormatException)</c> would see it, and its message would be hidden. On each level ML.NET asks the original exception, in its
/// data, whether it is one of ML.NET's own, to choose the wrapper; that is the moment to throw the original instead. If another version
/// of ML.NET does not ask, the exception arrives wrapped, as those of all other components do.</remarks>
internal sealed class UnwrappedData(Exception owner) : Hashtable
{
    private const string MarkOfMlNet = "ML_IsMarked";

    public override bool Contains(object key)
    {
        if (MarkOfMlNet.Equals(key))
            ExceptionDispatchInfo.Throw(owner);
        return base.Contains(key);
    }
}
