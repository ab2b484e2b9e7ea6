using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The C# blocks of a page, one after the other, are a program: it compiles without warnings against the public surface, and,
/// where it needs no files but messages.txt, runs.</summary>
[TestClass]
public partial class ReadmeTests
{
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    [TestMethod]
    [DataRow("docs/performance.md")]
    [DataRow("docs/tokenizers.md")]
    [DataRow("docs/generation.md")]
    [DataRow("docs/training.md")]
    [DataRow("docs/serving.md")]
    [DataRow("Extensions.AI.md")]
    [DataRow("AspNetCore.md")]
    [DataRow("docs/scale-out.md")]
    public void Page_Program_Compiles(string page) => Assert.IsNotEmpty(Compile(page));

    [TestMethod]
    public void Readme_Program_RunsAndSavesItsModel()
    {
        using var folder = new TemporaryFolder();
        string[] lines = Run("README.md", folder).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        StringAssert.StartsWith(lines[0], "perplexity ");
        Assert.Contains(line => line.StartsWith("your order", StringComparison.Ordinal), lines);
        Assert.IsGreaterThan(1f, float.Parse(lines[^1]));
        Assert.IsTrue(File.Exists(Path.Combine(folder.Path, "messages.zip")));
    }

    [TestMethod]
    public void GettingStartedPage_Program_RunsToItsFocusMapAndModel()
    {
        using var folder = new TemporaryFolder();
        string output = Run("docs/getting-started.md", folder);
        StringAssert.Contains(output, "bits per byte");
        StringAssert.Contains(output, "Gets the number of");
        StringAssert.Contains(File.ReadAllText(Path.Combine(folder.Path, "focus.html")), "collection");
        Assert.IsTrue(File.Exists(Path.Combine(folder.Path, "first.zip")));
    }

    [TestMethod]
    public void GpuPage_Program_RunsWithOrWithoutGpu()
    {
        using var folder = new TemporaryFolder();
        string output = Run("docs/gpu.md", folder);
        Assert.AreEqual(!TorchSharp.torch.cuda.is_available(), output.Contains("Computing on the CPU.", StringComparison.Ordinal), output);
    }

    [TestMethod]
    public void ArchitecturePage_Program_RunsAndListsTheFiles()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("docs/architecture.md", folder), "model.safetensors, ");
    }

    [TestMethod]
    public void PipelinesPage_Program_RunsAndPrintsItsColumns()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("docs/pipelines.md", folder), "Features: Vector<Single, 2>");
    }

    [TestMethod]
    public void TroubleshootingPage_Program_PrintsTheMessageThatThePageShows()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("docs/troubleshooting.md", folder), "There is no text column 'text'; the data have 'Text'.");
    }

    [TestMethod]
    public void ScoringPage_Program_RunsAndPrintsItsMetrics()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("docs/scoring.md", folder), "bits per byte");
    }

    [TestMethod]
    public void InferencePage_Program_RunsAndSavesASmallerModel()
    {
        using var folder = new TemporaryFolder();
        string[] lines = Run("docs/inference.md", folder).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        StringAssert.StartsWith(lines[0], "perplexity ");
        Assert.Contains(line => line.StartsWith("Your order", StringComparison.Ordinal), lines);
        string sizes = lines.Single(line => line.EndsWith("bytes of weights", StringComparison.Ordinal));
        long[] bytes = [.. Number().Matches(sizes).Select(number => long.Parse(number.Value, NumberStyles.AllowThousands))];
        Assert.IsLessThan(0.3 * bytes[0], bytes[1], sizes);
        StringAssert.Contains(File.ReadAllText(Path.Combine(folder.Path, "focus.svg")), "<svg ");
        Assert.IsTrue(File.Exists(Path.Combine(folder.Path, "small", "model.safetensors")));
    }

    [TestMethod]
    public void EvaluationPage_Program_RunsAndPrintsItsMetrics()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("docs/evaluation.md", folder), "bits per byte");
    }

    [TestMethod]
    public void ModelsPage_Program_RunsAndSavesBothForms()
    {
        using var folder = new TemporaryFolder();
        Run("docs/models.md", folder);
        Assert.IsTrue(File.Exists(Path.Combine(folder.Path, "model.zip")));
        Assert.IsTrue(File.Exists(Path.Combine(folder.Path, "my-model", "model.safetensors")));
    }

    [TestMethod]
    public void ExplanationsPage_Program_RunsAndDrawsItsPictures()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("docs/explanations.md", folder), "the start's share");
        StringAssert.Contains(File.ReadAllText(Path.Combine(folder.Path, "focus.html")), "sorry");
        Assert.IsTrue(File.Exists(Path.Combine(folder.Path, "focus.svg")));
    }

    [TestMethod]
    public void NotebooksPage_Program_RunsAndShowsItsValues()
    {
        using var folder = new TemporaryFolder();
        string printed = Run("docs/notebooks.md", folder);
        foreach (string part in (string[])["epoch 2/2, step ", "LEAP: ", "best validation loss ", "perplexity "])
            StringAssert.Contains(printed, part);
        StringAssert.Contains(File.ReadAllText(Path.Combine(folder.Path, "model.html")), "<svg ");
    }

    private static string Run(string page, TemporaryFolder folder)
    {
        File.WriteAllLines(Path.Combine(folder.Path, "messages.txt"), Enumerable.Range(0, 30).Select(i =>
            $"Your order {i} is {(i % 3 == 0 ? "on its way" : "delayed")}, {(i % 4 == 0 ? "thank you" : "we are sorry")}."));
        MethodInfo main = Assembly.Load(Compile(page)).EntryPoint!;

        string directory = Directory.GetCurrentDirectory();
        TextWriter console = Console.Out;
        using var output = new StringWriter();
        Directory.SetCurrentDirectory(folder.Path);
        Console.SetOut(output);
        try
        {
            main.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [Array.Empty<string>()], null);
        }
        finally
        {
            Console.SetOut(console);
            Directory.SetCurrentDirectory(directory);
        }

        return output.ToString();
    }

    private static byte[] Compile(string page)
    {
        string text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Pages", page));
        string program = string.Concat(CSharpBlock().Matches(text).Select(match => match.Groups[1].Value));
        Assert.AreNotEqual("", program, $"{page} holds no C# block.");

        string references = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        var compilation = CSharpCompilation.Create(
            "Example",
            [CSharpSyntaxTree.ParseText(ImplicitUsings), CSharpSyntaxTree.ParseText(program)],
            references.Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        using var assembly = new MemoryStream();
        Diagnostic[] faults = [.. compilation.Emit(assembly).Diagnostics.Where(fault => fault.Severity >= DiagnosticSeverity.Warning)];
        Assert.IsEmpty(faults, new StringBuilder(page).AppendLine().AppendJoin(Environment.NewLine, faults.AsEnumerable()).ToString());
        return assembly.ToArray();
    }

    [GeneratedRegex("""\d[\d.,\s]*\d""")]
    private static partial Regex Number();

    [GeneratedRegex("""^```csharp\r?\n(.*?)^```""", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();
}
