using System.Globalization;
using Microsoft.ML.Leap.Notebooks;

// Writes the notebooks of samples/NotebookSamples from their twins, and runs them for their outputs:
// dotnet run -c Release --project eng/Notebooks [-- 01-Train 02-Score ...]

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string repository = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../.."));
string folder = Path.Combine(repository, "samples", "NotebookSamples");
var versions = new PackageVersions(repository);
string[] programs = args.Length > 0
    ? [.. args.Select(name => Path.Combine(folder, name + ".cs"))]
    : [.. Directory.GetFiles(folder, "??-*.cs").Order(StringComparer.Ordinal)];
foreach (string program in programs)
{
    Console.WriteLine(Path.GetFileNameWithoutExtension(program));
    IReadOnlyList<NotebookCell> cells = NotebookProgram.Read(program, versions);
    using var runner = new NotebookRunner();
    List<IReadOnlyList<CellOutput>> outputs = [];
    foreach (NotebookCell cell in cells)
        outputs.Add(cell.IsCode ? await runner.RunAsync(cell.Source) : []);
    NotebookFile.Write(Path.ChangeExtension(program, ".ipynb"), cells, outputs);
}
