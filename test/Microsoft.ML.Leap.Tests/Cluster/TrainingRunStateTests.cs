using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Orleans.Storage;

namespace Microsoft.ML.Leap.Tests.Cluster;

[TestClass]
public sealed class TrainingRunStateTests
{
    private static readonly TrainingRunState State = new TrainingRunState
    {
        Terms = new ClusterTrainingOptions { RunName = "run", Trainer = TinyModel.Options() }.GetTerms(),
        Plan = [1, 2, 3],
        Steps = new RoundSteps(20, 5),
        Phase = RunPhase.Training,
        Round = 3,
        Members = new() { [0] = Guid.NewGuid(), [2] = Guid.NewGuid() },
        ValidationLoss = 1.25,
    }.With(new OuterWeights([1.5f, -2.25f], [0.1f, float.Epsilon], [-1e-9f, 3e9f]), [7, 8]);

    // What storages write by default is JSON, and the state must come back from it.
    [TestMethod]
    public async Task Storage_Json_GivesTheStateBack()
    {
        await using LocalCluster cluster = await LocalCluster.StartAsync();
        var serializer = new JsonGrainStorageSerializer(cluster.Client.ServiceProvider.GetRequiredService<OrleansJsonSerializer>());

        AssertEqual(serializer.Deserialize<TrainingRunState>(serializer.Serialize(State))!);
    }

    [TestMethod]
    public void Storage_Binary_GivesTheStateBack()
    {
        using ServiceProvider services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        Serializer serializer = services.GetRequiredService<Serializer>();

        AssertEqual(serializer.Deserialize<TrainingRunState>(serializer.SerializeToArray(State))!);
    }

    private static void AssertEqual(TrainingRunState read)
    {
        Assert.IsNull(State.Terms!.FindFault(read.Terms!));
        Assert.IsNull(read.Terms!.FindFault(State.Terms));
        Assert.AreEqual(State.Terms.Rules, read.Terms.Rules);
        Assert.AreEqual(State.Steps, read.Steps);
        Assert.AreEqual(State.Phase, read.Phase);
        Assert.AreEqual(State.Round, read.Round);
        Assert.AreEqual(State.ValidationLoss, read.ValidationLoss);
        Assert.AreEqual(State.WeightSum, read.WeightSum);
        CollectionAssert.AreEqual(State.Members, read.Members);
        CollectionAssert.AreEqual(State.Plan, read.Plan);
        CollectionAssert.AreEqual(State.Change, read.Change);
        OuterWeights expected = State.GetOuterWeights(), found = read.GetOuterWeights();
        CollectionAssert.AreEqual(expected.Weights, found.Weights);
        CollectionAssert.AreEqual(expected.Velocity, found.Velocity);
        CollectionAssert.AreEqual(expected.Rest, found.Rest);
    }
}
