using System.Text.Json.Nodes;

namespace Microsoft.ML.Leap.Tests;

/// <summary>A notebook's cells are its twin's program, which the build compiles.</summary>
[TestClass]
public class NotebookTests
{
    // Implicit in a project.
    private static readonly string[] NotebookUsings = ["using System.IO;", "using System.Linq;"];

    [TestMethod]
    [DataRow("Explain")]
    public void Cells_OfNotebook_AreTheTwinsProgram(string name)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Samples", name);
        JsonArray cells = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, $"{name}.ipynb")))!["cells"]!.AsArray();
        string[] code = [.. cells.Where(cell => (string?)cell!["cell_type"] == "code")
            .Select(cell => string.Concat(cell!["source"]!.AsArray().Select(line => (string?)line)))];

        // A notebook alone refers to packages, and shows the value of a bare name.
        string[] shared = [.. code.Where(cell => !cell.StartsWith("#r ", StringComparison.Ordinal) && !cell.All(char.IsLetter))];
        Assert.IsGreaterThan(shared.Length, code.Length);
        string program = string.Join("\n\n", shared) + "\n";
        foreach (string line in NotebookUsings)
            program = program.Replace(line + "\n", "", StringComparison.Ordinal);
        Assert.AreEqual(File.ReadAllText(Path.Combine(folder, "Program.cs")), program);
        Assert.IsTrue(cells.All(cell => cell!["outputs"] is null || cell["outputs"]!.AsArray().Count == 0), "no outputs are committed");
    }
}
