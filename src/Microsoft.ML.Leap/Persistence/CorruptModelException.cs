using System.Collections;
using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Leap;

/// <summary>A <see cref="FormatException"/> that arrives at the caller of <c>mlContext.Model.Load</c> as itself.</summary>
/// <remarks>ML.NET calls a component's loader by reflection, once for each level of a pipeline, so what the loader throws would come
/// out as a <see cref="System.Reflection.TargetInvocationException"/>, in a pipeline as several of them around each other, and
/// <c>catch (FormatException)</c> would not see it. On each level ML.NET asks the original exception, in its <see cref="Data"/>,
/// whether it is one of ML.NET's own, to choose the wrapper; that is the moment to throw the original instead. If another version of
/// ML.NET does not ask, the exception arrives wrapped, as those of all other components do.</remarks>
internal sealed class CorruptModelException : FormatException
{
    private readonly IDictionary _data;

    public CorruptModelException(FormatException inner)
        : base(inner.Message, inner)
    {
        _data = new MarkedData(this);
    }

    public override IDictionary Data => _data;

    private sealed class MarkedData(CorruptModelException owner) : Hashtable
    {
        private const string MarkOfMlNet = "ML_IsMarked";

        public override bool Contains(object key)
        {
            if (MarkOfMlNet.Equals(key))
                ExceptionDispatchInfo.Throw(owner);
            return base.Contains(key);
        }
    }
}
