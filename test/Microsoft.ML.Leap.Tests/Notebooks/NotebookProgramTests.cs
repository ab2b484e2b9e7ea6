using Microsoft.ML.Leap.Notebooks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class NotebookProgramTests
{
    private const string Program = """
        #:project ../../src/Microsoft.ML.Leap/Microsoft.ML.Leap.csproj
        #:project ../../tools/Other/Other.csproj
        #:package ScottPlot
        #:property PublishAot=false

        // %% [markdown]
        // # Title
        //
        // Text.

        // %%
        int x = 1;

        int y = 2;

        // %% [notebook]
        // Show(x);

        // %% [parameters]
        int z = 3;
        """;

    [TestMethod]
    public void Read_Program_GivesItsCellsAndReferences()
    {
        var versions = new PackageVersions(Path.Combine(AppContext.BaseDirectory, "Samples"));
        NotebookCell[] cells = [.. Read(Program)];

        string references = $"""
            #r "nuget: Microsoft.ML.Leap, {versions.Leap}"
            #r "nuget: TorchSharp-cpu, {versions.TorchSharp}"
            #r "../../tools/Other/bin/Release/net10.0/Other.dll"
            #r "nuget: ScottPlot, {versions["ScottPlot"]}"
            """;
        NotebookCell[] expected =
        [
            new(CellKind.Markdown, "# Title\n\nText."),
            new(CellKind.NotebookCode, references.ReplaceLineEndings("\n")),
            new(CellKind.Code, "int x = 1;\n\nint y = 2;"),
            new(CellKind.NotebookCode, "Show(x);"),
            new(CellKind.Parameters, "int z = 3;"),
        ];
        CollectionAssert.AreEqual(expected, cells);
    }

    [TestMethod]
    [DataRow("int x = 1;\n", "has no cell")]
    [DataRow("// %% [picture]\n", "(1): 'picture' is no kind of cell")]
    [DataRow("// %% [markdown]\n// Text.\nint x = 1;\n", "(3): expected a comment")]
    [DataRow("#!/usr/bin/dotnet\n// %%\n", "before the first cell stands '#!/usr/bin/dotnet'")]
    public void Read_FaultyProgram_SaysWhere(string program, string expected)
    {
        FormatException exception = Assert.ThrowsExactly<FormatException>(() => Read(program));
        StringAssert.Contains(exception.Message, expected);
    }

    [TestMethod]
    public void Write_CellsAndOutputs_AreReadAgain()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "book.ipynb");
        NotebookCell[] cells = [new(CellKind.Markdown, "# <Title>\n\n“Text”"), new(CellKind.Parameters, "int x = 1;"), new(CellKind.Code, "display(x);")];
        CellOutput[] outputs = [new(null, "one\ntwo\n"), new("text/html", "<b>1</b>")];
        NotebookFile.Write(path, cells, [[], [], outputs]);

        CollectionAssert.AreEqual(cells, NotebookFile.ReadCells(path).ToArray());
        CollectionAssert.AreEqual(outputs, NotebookFile.ReadOutputs(path)[2].ToArray());
    }

    private static IReadOnlyList<NotebookCell> Read(string program)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "program.cs");
        File.WriteAllText(path, program);
        return NotebookProgram.Read(path, new PackageVersions(Path.Combine(AppContext.BaseDirectory, "Samples")));
    }
}
