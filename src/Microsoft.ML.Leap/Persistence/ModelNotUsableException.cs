using System.Collections;

namespace Microsoft.ML.Leap;

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
