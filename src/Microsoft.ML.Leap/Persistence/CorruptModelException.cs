using System.Collections;

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
