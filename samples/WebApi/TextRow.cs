namespace WebApi;

/// <summary>A row that goes into the pipeline.</summary>
internal sealed class TextRow
{
    public string Text { get; set; } = "";
}
