using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Scripting;
using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.ML.Leap.Notebooks;

/// <summary>Runs a notebook's cells in order, on the engine of the C# kernel, and collects what they show.</summary>
internal sealed class NotebookRunner : IDisposable
{
    // The kernel's own; more are a notebook's business.
    private static readonly string[] Imports =
        ["System", "System.Text", "System.Collections", "System.Collections.Generic", "System.Threading.Tasks", "System.Linq"];

    private readonly List<CellOutput> _outputs = [];
    private readonly StringWriter _console = new();
    private readonly ScriptOptions _options;
    private ScriptState<object>? _state;

    public NotebookRunner()
    {
        string[] assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        _options = ScriptOptions.Default.WithImports(Imports).WithReferences(assemblies)
            .WithOptimizationLevel(OptimizationLevel.Release);
    }

    /// <summary>Runs one cell after those that were run before.</summary>
    /// <exception cref="CompilationErrorException">It does not compile.</exception>
    public async Task<IReadOnlyList<CellOutput>> RunAsync(string code)
    {
        _outputs.Clear();
        TextWriter console = Console.Out;
        Console.SetOut(_console);
        try
        {
            // The packages are those that this program was built with.
            string withoutReferences = string.Join('\n', code.Split('\n').Where(line => !line.StartsWith("#r ", StringComparison.Ordinal)));
            _state = _state is null
                ? await CSharpScript.RunAsync<object>(withoutReferences, _options, new KernelGlobals(Show))
                : await _state.ContinueWithAsync<object>(withoutReferences, _options);
        }
        finally
        {
            Console.SetOut(console);
        }

        TakeConsole();
        return [.. _outputs];
    }

    public void Dispose() => _console.Dispose();

    private void Show(object value)
    {
        TakeConsole();
        string mimeType = Formatter.GetPreferredMimeTypesFor(value.GetType()).First();
        _outputs.Add(new CellOutput(mimeType, value.ToDisplayString(mimeType)));
    }

    private void TakeConsole()
    {
        if (_console.GetStringBuilder().Length > 0)
            _outputs.Add(new CellOutput(null, _console.ToString()));
        _console.GetStringBuilder().Clear();
    }
}
