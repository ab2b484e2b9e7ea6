using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb <c>parity</c>: runs reference cases of the original network, or of one attention layer, and compares.</summary>
internal static class ParityCommand
{
    public static System.CommandLine.Command Create()
    {
        var files = new Argument<FileInfo[]>("files")
        {
            Description = "Reference cases: safetensors files, each with its .json beside it.",
            Arity = ArgumentArity.OneOrMore,
        };
        var command = new System.CommandLine.Command("parity", "Compare this network's numbers with reference cases.") { files };
        command.SetAction(arguments => Run(arguments.GetRequiredValue(files)));
        return command;
    }

    private static int Run(FileInfo[] files)
    {
        int failed = files.Count(file => !Passes(file));
        return failed == 0 ? 0 : 1;
    }

    private static bool Passes(FileInfo file)
    {
        try
        {
            using var fixture = new ParityFixture(file);
            ParityResult result = fixture.IsNetwork ? NetworkParity.Check(fixture) : AttentionParity.Check(fixture);
            Console.WriteLine($"{fixture.Name} {result.Report} {(result.IsPass ? "PASS" : "FAIL")}");
            return result.IsPass;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            Console.Error.WriteLine($"{Path.GetFileNameWithoutExtension(file.Name)}: {e.Message}");
            return false;
        }
    }
}
