using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ParityCommandTests
{
    [TestMethod]
    public void Parity_OfANetworkAndAnAttentionLayer_PrintsTheEngineAndTorch()
    {
        using var output = new StringWriter();
        TextWriter console = Console.Out;
        Console.SetOut(output);
        int code;
        try
        {
            code = ParityCommand.Create().Parse(
                [FixturePath("tiny_masked"), FixturePath("attention_peaked_w4")]).Invoke();
        }
        finally
        {
            Console.SetOut(console);
        }

        Assert.AreEqual(0, code);
        string[] lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.HasCount(3, lines);
        StringAssert.StartsWith(lines[0], "tiny_masked engine logits-error ", StringComparison.Ordinal);
        StringAssert.StartsWith(lines[1], "tiny_masked torch logits-error ", StringComparison.Ordinal);
        StringAssert.StartsWith(lines[2], "attention_peaked_w4 output-error ", StringComparison.Ordinal);
    }

    private static string FixturePath(string name) => Path.Combine(AppContext.BaseDirectory, "Fixtures", name + ".safetensors");
}
