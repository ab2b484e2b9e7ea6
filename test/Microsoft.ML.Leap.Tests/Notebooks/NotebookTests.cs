using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.ML.Leap.Notebooks;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Each notebook is its twin's program with what it showed when it was run, and runs.</summary>
[TestClass]
public partial class NotebookTests
{
    private const string Tiny = "trainingTexts = 300; vocabularySize = 320; layerCount = 2; epochs = 1;";

    private static readonly string Samples = Path.Combine(AppContext.BaseDirectory, "Samples");

    public static IEnumerable<string> Notebooks =>
        Directory.GetFiles(Folder, "*.ipynb").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal);

    private static string Folder => Path.Combine(Samples, "Notebooks");

    [TestMethod]
    public void Programs_All_HaveTheirNotebooks() => CollectionAssert.AreEqual(
        Directory.GetFiles(Folder, "??-*.cs").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal).ToArray(),
        Notebooks.ToArray());

    [TestMethod]
    [DynamicData(nameof(Notebooks))]
    public void Cells_OfNotebook_AreTheTwins(string name)
    {
        NotebookCell[] expected = [.. NotebookProgram.Read(Path.Combine(Folder, name + ".cs"), new PackageVersions(Samples))];
        NotebookCell[] actual = [.. NotebookFile.ReadCells(Path.Combine(Folder, name + ".ipynb"))];
        CollectionAssert.AreEqual(expected, actual, $"Write it anew: ./build.sh notebooks {name}");
    }

    [TestMethod]
    [DynamicData(nameof(Notebooks))]
    public void Program_OfNotebook_CompilesWithoutWarnings(string name)
    {
        CSharpParseOptions options = CSharpParseOptions.Default.WithFeatures([new("FileBasedProgram", "true")]);
        SyntaxTree[] sources =
        [
            CSharpSyntaxTree.ParseText(File.ReadAllText(Path.Combine(Folder, name + ".cs")), options),
            CSharpSyntaxTree.ParseText(File.ReadAllText(Path.Combine(Folder, "Notebook.cs")), options),
            CSharpSyntaxTree.ParseText("global using static Notebook;", options),
        ];
        string references = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        var compilation = CSharpCompilation.Create(
            name,
            sources,
            references.Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        Diagnostic[] faults = [.. compilation.GetDiagnostics().Where(fault => fault.Severity >= DiagnosticSeverity.Warning)];
        Assert.IsEmpty(faults, string.Join(Environment.NewLine, faults.AsEnumerable()));
    }

    [TestMethod]
    public async Task Train_TinySettings_ShowsLossAndSavesTheModel()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "model.zip");
        IReadOnlyList<CellOutput> outputs = await RunAsync(
            "01-Train", $"maximumTexts = 400; vocabularySize = 320; layerCount = 2; epochs = 1; modelFile = @\"{file}\";");

        Assert.IsGreaterThan(1, Number(@"Perplexity on \d+ unseen texts: ([\d.]+)", outputs));
        AssertShows("image/svg+xml", "<svg", outputs);
        AssertShows("text/html", "Hidden size", outputs);
        AssertShows("text/html", "Loss by step", outputs);
        AssertShows("text/html", "nats per token", outputs);
        Assert.IsTrue(File.Exists(file));
    }

    [TestMethod]
    public async Task Score_TinySettings_RanksWhatDoesNotBelongFirst()
    {
        IReadOnlyList<CellOutput> outputs = await RunAsync(
            "02-Score", "trainingTexts = 3000; vocabularySize = 400; layerCount = 2; epochs = 2; rowCount = 60;");

        string first = Regex.Match(Text(outputs), @"^ +\d+  (\w+(?: \w+)?) ", RegexOptions.Multiline).Groups[1].Value;
        Assert.AreNotEqual("documentation", first);
        double documentation = Number(@"documentation .*median perplexity (\d+)", outputs);
        Assert.IsGreaterThan(2 * documentation, Number(@"letters shuffled .*median perplexity (\d+)", outputs));
        Assert.IsGreaterThan(documentation, Number(@"words shuffled .*median perplexity (\d+)", outputs));
        Assert.IsGreaterThan(2 * documentation, Number(@"foreign .*median perplexity (\d+)", outputs));
        AssertShows("image/svg+xml", "<svg", outputs);
    }

    [TestMethod]
    public async Task Generate_TinySettings_ContinuesAndKeepsTheStatesSize()
    {
        IReadOnlyList<CellOutput> outputs = await RunAsync("03-Generate", Tiny + "tokensPerPoint = 20; points = 3;");

        StringAssert.Matches(Text(outputs), ContinuedPrompt());
        double size = Number(@"a state of (\d+) bytes; after", outputs);
        Assert.AreEqual(size, Number(@"bytes; after \d+: (\d+) bytes", outputs));
        AssertShows("image/svg+xml", "<svg", outputs);
    }

    [TestMethod]
    public async Task Explain_TinySettings_ShowsTheFocusOfTheText()
    {
        IReadOnlyList<CellOutput> outputs = await RunAsync("04-Explain", Tiny + "text = \"Gets the strange word.\";");

        AssertShows("text/html", "strange", outputs);
        AssertShows("image/svg+xml", "<svg", outputs);
        Assert.IsGreaterThan(0, Number(@"focus ([\d.]+), surprise", outputs));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task WikiText2_TinySettings_ShowsLeapAndGpt2(bool givesFolder)
    {
        using var folder = new TemporaryFolder();
        foreach (string split in new[] { "train", "valid" })
            File.WriteAllLines(Path.Combine(folder.Path, $"wiki.{split}.tokens"), Enumerable.Range(0, 200).Select(i => $" = Article {i} of {split} = "));
        string data = givesFolder ? $"dataFolder = @\"{folder.Path}\";" : "";
        IReadOnlyList<CellOutput> outputs = await RunAsync(
            "05-WikiText2", data + "documentationTexts = 300; vocabularySize = 320; contextLength = 32; layerCount = 2; epochs = 1;");

        Assert.IsGreaterThan(1, Number(@"leap: perplexity ([\d.]+)", outputs));
        Assert.IsGreaterThan(1, Number(@"gpt2: perplexity ([\d.]+)", outputs));
        AssertShows("image/svg+xml", "<svg", outputs);
    }

    [TestMethod]
    public async Task Embed_TinySettings_ComparesThreeWays()
    {
        IReadOnlyList<CellOutput> outputs = await RunAsync(
            "06-Embed", "trainingTexts = 500; labelCounts = [5]; draws = 1; testTexts = 20; epochs = 1;");

        foreach (string way in new[] { "embedding", "FeaturizeText", "both" })
            Assert.IsGreaterThan(0, Number($@"5 labels per class, {way} +([\d.]+) %", outputs));
        StringAssert.Contains(Text(outputs), " won");
    }

    [TestMethod]
    public void StoredOutputs_OfEmbed_SayWhoWon()
    {
        CellOutput[] outputs = [.. NotebookFile.ReadOutputs(Path.Combine(Folder, "06-Embed.ipynb")).SelectMany(cell => cell)];
        StringAssert.Contains(Text(outputs), "100 labels per class: FeaturizeText won");
    }

    [TestMethod]
    [DataRow("01-Train", "unseen texts")]
    [DataRow("02-Score", "rows that do not belong")]
    [DataRow("03-Generate", "a state of")]
    [DataRow("04-Explain", "surprise")]
    [DataRow("05-WikiText2", "gpt2: perplexity")]
    public void StoredOutputs_OfNotebook_AreThere(string name, string expected)
    {
        CellOutput[] outputs = [.. NotebookFile.ReadOutputs(Path.Combine(Folder, name + ".ipynb")).SelectMany(cell => cell)];
        StringAssert.Contains(Text(outputs), expected);
        AssertShows("image/svg+xml", "<svg", outputs);
    }

    // As papermill does, the replaced values get a cell of their own below the notebook's.
    private static async Task<IReadOnlyList<CellOutput>> RunAsync(string name, string parameters)
    {
        using var runner = new NotebookRunner();
        List<CellOutput> outputs = [];
        NotebookCell[] cells = [.. NotebookFile.ReadCells(Path.Combine(Folder, name + ".ipynb"))];
        Assert.ContainsSingle(cell => cell.Kind == CellKind.Parameters, cells);
        foreach (NotebookCell cell in cells.Where(cell => cell.IsCode))
        {
            outputs.AddRange(await runner.RunAsync(cell.Source));
            if (cell.Kind == CellKind.Parameters)
                await runner.RunAsync(parameters);
        }

        return outputs;
    }

    private static string Text(IEnumerable<CellOutput> outputs) =>
        string.Concat(outputs.Where(output => output.MimeType is null).Select(output => output.Text));

    private static double Number(string pattern, IEnumerable<CellOutput> outputs)
    {
        Match match = Regex.Match(Text(outputs), pattern);
        Assert.IsTrue(match.Success, $"no {pattern} in{Environment.NewLine}{Text(outputs)}");
        return double.Parse(match.Groups[1].Value);
    }

    private static void AssertShows(string mimeType, string part, IEnumerable<CellOutput> outputs) => Assert.Contains(
        output => output.MimeType == mimeType && output.Text.Contains(part, StringComparison.Ordinal), outputs);

    [GeneratedRegex(@"Gets the number of \.\.\.\s*\S")]
    private static partial Regex ContinuedPrompt();
}
