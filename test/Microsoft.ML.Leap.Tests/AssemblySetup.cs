// Tests count live native tensors and compare torch's global state, which is one per process.
[assembly: DoNotParallelize]

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public static class AssemblySetup
{
    // Tests that use torch directly get the library's settings too. And Spectre.Console keeps the console that it first writes to, while
    // some tests put another in its place for a moment.
    [AssemblyInitialize]
    public static void Prepare(TestContext _)
    {
        NativeBackend.EnsureLoaded();
        Assert.IsNotNull(Spectre.Console.AnsiConsole.Profile);
    }
}
