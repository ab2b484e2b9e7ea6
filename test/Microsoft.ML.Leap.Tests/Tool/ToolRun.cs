using System.CommandLine;
using Microsoft.ML.Leap;
using Microsoft.ML.Leap.Tests;

namespace Leap.Tool.Tests;

/// <summary>A command line of <c>leap</c>, run in this process.</summary>
internal sealed record ToolRun(int ExitCode, string Output, string Errors)
{
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public static ToolRun Run(params string[] arguments) => RunAsync(CancellationToken.None, arguments).GetAwaiter().GetResult();

    public static async Task<ToolRun> RunAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        int exitCode = await LeapTool.RunAsync(arguments, new InvocationConfiguration { Output = output, Error = TextWriter.Synchronized(errors) }, cancellationToken);
        return new ToolRun(exitCode, output.ToString(), errors.ToString());
    }

    /// <summary>Runs it, and expects it to end well.</summary>
    public static ToolRun Good(params string[] arguments)
    {
        ToolRun run = Run(arguments);
        Assert.AreEqual(0, run.ExitCode, run.Errors);
        return run;
    }

    /// <summary>Runs it, and expects an end with one sentence that says this.</summary>
    public static void Bad(int exitCode, string words, params string[] arguments)
    {
        ToolRun run = Run(arguments);
        Assert.AreEqual(exitCode, run.ExitCode, run.Errors);
        StringAssert.StartsWith(run.Errors, "leap: ");
        StringAssert.Contains(run.Errors, words);
        Assert.HasCount(1, run.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries), run.Errors);
    }
}

/// <summary>A folder with a model in a zip, whose texts are those of <see cref="TinyModel"/>.</summary>
public abstract class ToolTest : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private protected string Folder => _folder.Path;

    private protected string Model => Path.Combine(Folder, "model.zip");

    [TestInitialize]
    public void SaveModel() => TrainedModel.Context.Leap().Save(TrainedModel.Transformer, null, Model);

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected string Write(string name, string text)
    {
        string path = Path.Combine(Folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private protected string PathOf(string name) => Path.Combine(Folder, name);
}
