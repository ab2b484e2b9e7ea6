using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Notebooks;

/// <summary>Reads a notebook's cells from its twin, a file-based program.</summary>
/// <remarks>A line "// %%" begins a cell of code, "// %% [markdown]" one of text and "// %% [notebook]" one of code that the program does
/// not have, both in comments; "// %% [parameters]" begins the code whose values a run may replace. The program's directives, which stand
/// before the first cell, become the notebook's references.</remarks>
internal static partial class NotebookProgram
{
    /// <exception cref="FormatException">There is something that no notebook can hold; the message says where.</exception>
    public static IReadOnlyList<NotebookCell> Read(string path, PackageVersions versions)
    {
        string[] lines = File.ReadAllLines(path);
        int first = Array.FindIndex(lines, line => CellStart().IsMatch(line));
        if (first < 0)
            throw new FormatException($"'{path}' has no cell: expected a line \"// %%\".");

        List<NotebookCell> cells = [];
        for (int start = first; start < lines.Length;)
        {
            int end = Array.FindIndex(lines, start + 1, line => CellStart().IsMatch(line));
            if (end < 0)
                end = lines.Length;
            cells.Add(ReadCell(path, lines, start, end));
            start = end;
        }

        // Below the title, so that the notebook begins with it.
        cells.Insert(1, new NotebookCell(CellKind.NotebookCode, NotebookReferences.Create(path, lines[..first], versions)));
        return cells;
    }

    private static NotebookCell ReadCell(string path, string[] lines, int start, int end)
    {
        string kindName = CellStart().Match(lines[start]).Groups["kind"].Value;
        CellKind kind = kindName switch
        {
            "" => CellKind.Code,
            "markdown" => CellKind.Markdown,
            "notebook" => CellKind.NotebookCode,
            "parameters" => CellKind.Parameters,
            _ => throw new FormatException($"{path}({start + 1}): '{kindName}' is no kind of cell; expected markdown, notebook or parameters."),
        };
        string[] text = lines[(start + 1)..end];
        if (kind is CellKind.Markdown or CellKind.NotebookCode)
            text = [.. text.Select((line, index) => Uncomment(line) ?? throw new FormatException(
                $"{path}({start + 2 + index}): expected a comment, as this cell is not for the program."))];
        return new NotebookCell(kind, string.Join('\n', text).Trim('\n'));
    }

    private static string? Uncomment(string line) =>
        line is "" or "//" ? "" : line.StartsWith("// ", StringComparison.Ordinal) ? line[3..] : null;

    [GeneratedRegex(@"^// %%(?: \[(?<kind>\w+)\])?$")]
    private static partial Regex CellStart();
}
