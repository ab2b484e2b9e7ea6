using Microsoft.ML.Leap.Soak;

namespace Microsoft.ML.Leap.Tests;

/// <summary>A minute of what eng/soak.sh does for long.</summary>
[TestClass]
public sealed class SoakTests
{
    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void Crowd_EveryOperationBesideACollector_GivesWhatOneThreadGives() =>
        AssertNoFaults(Crowd.Run(TimeSpan.FromSeconds(20), 16, TestContext.WriteLine));

    [TestMethod]
    public void Kills_Training_EndsAsIfNothingHadHappened() => AssertNoFaults(Kills.TrainAndResume(3, TestContext.WriteLine));

    [TestMethod]
    public void Kills_Saving_LeavesAWholeModel() => AssertNoFaults(Kills.Save(3, TestContext.WriteLine));

    private static void AssertNoFaults(IReadOnlyList<string> faults) => Assert.IsEmpty(faults, string.Join('\n', faults));
}
