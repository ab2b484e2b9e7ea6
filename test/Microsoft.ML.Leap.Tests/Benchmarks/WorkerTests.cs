using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class WorkerTests
{
    [TestMethod]
    public void Ask_OfAProcessThatFailed_TellsItsExitCode()
    {
        using var worker = new Worker(["training", "--role", "none-such", "--context", "8", "--vocabulary", "11"]);
        var exception = Assert.ThrowsExactly<InvalidOperationException>(() => worker.Ask<double>("step"));
        StringAssert.Contains(exception.Message, "exit code 1");
    }
}
