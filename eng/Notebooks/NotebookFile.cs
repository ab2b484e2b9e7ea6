using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Leap.Notebooks;

/// <summary>Writes and reads a notebook in the format of Jupyter.</summary>
internal static class NotebookFile
{
    private const string ParametersTag = "parameters";
    private const string NotebookTag = "notebook";

    private static readonly JsonSerializerOptions Format = new()
    {
        WriteIndented = true,
        IndentSize = 1,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <param name="path">The file.</param>
    /// <param name="cells">The cells.</param>
    /// <param name="outputs">Of each cell, what it showed.</param>
    public static void Write(string path, IReadOnlyList<NotebookCell> cells, IReadOnlyList<IReadOnlyList<CellOutput>> outputs)
    {
        int executionCount = 0;
        var notebook = new JsonObject
        {
            ["cells"] = new JsonArray([.. cells.Select((cell, index) =>
                ToJson(cell, index, cell.IsCode ? ++executionCount : 0, outputs[index]))]),
            ["metadata"] = new JsonObject
            {
                ["kernelspec"] = new JsonObject { ["display_name"] = ".NET (C#)", ["language"] = "C#", ["name"] = ".net-csharp" },
                ["language_info"] = new JsonObject { ["name"] = "C#" },
            },
            ["nbformat"] = 4,
            ["nbformat_minor"] = 5,
        };
        File.WriteAllText(path, notebook.ToJsonString(Format) + "\n");
    }

    /// <summary>Reads the cells without what they showed.</summary>
    public static IReadOnlyList<NotebookCell> ReadCells(string path) =>
        [.. JsonNode.Parse(File.ReadAllText(path))!["cells"]!.AsArray().Select(cell => new NotebookCell(KindOf(cell!), Join(cell!["source"]!)))];

    /// <summary>Reads what each cell shows.</summary>
    public static IReadOnlyList<IReadOnlyList<CellOutput>> ReadOutputs(string path) =>
        [.. JsonNode.Parse(File.ReadAllText(path))!["cells"]!.AsArray()
            .Select(cell => cell!["outputs"] is JsonArray outputs ? [.. outputs.Select(output => ReadOutput(output!))] : Array.Empty<CellOutput>())];

    private static JsonObject ToJson(NotebookCell cell, int index, int executionCount, IReadOnlyList<CellOutput> outputs)
    {
        var json = new JsonObject
        {
            ["cell_type"] = cell.IsCode ? "code" : "markdown",
            ["id"] = $"cell-{index}",
            ["metadata"] = Metadata(cell.Kind),
            ["source"] = Lines(cell.Source),
        };
        if (cell.IsCode)
        {
            json["execution_count"] = executionCount;
            json["outputs"] = new JsonArray([.. outputs.Select(ToJson)]);
        }

        return json;
    }

    private static JsonObject Metadata(CellKind kind) => kind switch
    {
        CellKind.Parameters => new JsonObject { ["tags"] = new JsonArray(ParametersTag) },
        CellKind.NotebookCode => new JsonObject { ["tags"] = new JsonArray(NotebookTag) },
        _ => [],
    };

    private static CellKind KindOf(JsonNode cell) => ((string?)cell["cell_type"], (string?)cell["metadata"]!["tags"]?[0]) switch
    {
        ("markdown", _) => CellKind.Markdown,
        (_, ParametersTag) => CellKind.Parameters,
        (_, NotebookTag) => CellKind.NotebookCode,
        _ => CellKind.Code,
    };

    private static JsonObject ToJson(CellOutput output) => output.MimeType is string mimeType
        ? new JsonObject
        {
            ["output_type"] = "display_data",
            ["metadata"] = new JsonObject(),
            ["data"] = new JsonObject { [mimeType] = Lines(output.Text) },
        }
        : new JsonObject { ["output_type"] = "stream", ["name"] = "stdout", ["text"] = Lines(output.Text) };

    private static CellOutput ReadOutput(JsonNode output)
    {
        if ((string?)output["output_type"] == "stream")
            return new CellOutput(null, Join(output["text"]!));
        (string mimeType, JsonNode? lines) = output["data"]!.AsObject().Single();
        return new CellOutput(mimeType, Join(lines!));
    }

    // Jupyter keeps a text as its lines, each with its end.
    private static JsonArray Lines(string text)
    {
        string[] lines = text.ReplaceLineEndings("\n").Split('\n');
        return new JsonArray([.. lines.Select((line, index) => index < lines.Length - 1 ? line + "\n" : line)
            .Where(line => line.Length > 0).Select(line => (JsonNode)line)]);
    }

    private static string Join(JsonNode lines) => string.Concat(lines.AsArray().Select(line => (string?)line));
}
