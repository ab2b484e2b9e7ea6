namespace Microsoft.ML.Leap;

/// <summary>Names the type that makes a type's formatters for notebooks. .NET Interactive looks for an attribute of this name, whatever
/// assembly it is from, so that this package needs no reference to it.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class TypeFormatterSourceAttribute(Type formatterSourceType) : Attribute
{
    public Type FormatterSourceType { get; } = formatterSourceType;
}
