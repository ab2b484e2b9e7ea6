namespace Microsoft.ML.Leap.Notebooks;

/// <summary>A cell; its text has no line break at the end.</summary>
internal sealed record NotebookCell(CellKind Kind, string Source)
{
    public bool IsCode => Kind != CellKind.Markdown;
}
