namespace Microsoft.ML.Leap.Tests;

/// <summary>An input row.</summary>
internal sealed class Row
{
    public string Text { get; set; } = "";

    public float Number { get; set; }
}
