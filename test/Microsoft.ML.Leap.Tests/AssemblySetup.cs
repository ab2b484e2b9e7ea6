// Tests count live native tensors and compare torch's global state, which is one per process.
[assembly: DoNotParallelize]

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public static class AssemblySetup
{
    // Tests that use torch directly get the library's settings too.
    [AssemblyInitialize]
    public static void LoadNativeBackend(TestContext _) => NativeBackend.EnsureLoaded();
}
