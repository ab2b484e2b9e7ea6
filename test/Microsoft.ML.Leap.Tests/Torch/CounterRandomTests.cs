using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class CounterRandomTests
{
    private const int Count = 100_000;

    [TestMethod]
    [DataRow(0.0001)]
    [DataRow(0.3)]
    [DataRow(0.9)]
    [DataRow(0.9999)]
    public void Values_AnyKeep_KeepsThatShare(double keep)
    {
        using DisposeScope scope = NewDisposeScope();
        for (int key = 0; key < 5; key++)
        {
            Tensor mask = Values(new NoiseMask(key, 77, keep));
            Assert.AreEqual(Count, mask.eq(0).logical_or(mask.eq(1)).sum().item<long>());

            // Five standard deviations of a binomial share.
            Assert.AreEqual(keep, mask.mean().item<float>(), 5 * Math.Sqrt(keep * (1 - keep) / Count));
        }
    }

    [TestMethod]
    [DataRow(1, 0, 1)]
    [DataRow(1, 0, 128)]
    [DataRow(2, 0, 0)]
    [DataRow(2, 1, 1)]
    [DataRow(1, 1, 0)]
    [DataRow(1, 1, 5)]
    public void Values_ShiftedOrOfNeighbouringKeys_IsUncorrelated(int key, int otherKey, int shift)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor Signs(int k, int other) => Values(new NoiseMask(k, other, 0.5)) * 2 - 1;

        Tensor a = Signs(1, 0).narrow(0, shift, Count - shift);
        Tensor b = Signs(key, otherKey).narrow(0, 0, Count - shift);

        Assert.AreEqual(0, (a * b).mean().item<float>(), 5 / Math.Sqrt(Count - shift));
    }

    [TestMethod]
    public void Values_SameMask_AreTheSame()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor first = Values(new NoiseMask(3, 4, 0.5));
        Tensor again = Values(new NoiseMask(3, 4, 0.5));

        Assert.AreEqual(0, first.ne(again).sum().item<long>());
    }

    private static Tensor Values(NoiseMask mask) => CounterRandom.IsKept(mask, [Count], CPU).to(ScalarType.Float32);
}
