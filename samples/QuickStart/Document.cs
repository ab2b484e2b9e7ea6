namespace QuickStart;

/// <summary>A row: one text.</summary>
internal sealed class Document
{
    public string Text { get; set; } = "";
}
