namespace Microsoft.ML.Leap.Notebooks;

internal enum CellKind
{
    Markdown,

    /// <summary>In the program and in the notebook.</summary>
    Code,

    /// <summary>Code with the values that a run may replace.</summary>
    Parameters,

    /// <summary>Code that the notebook alone has.</summary>
    NotebookCode,
}
