namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MemoryGateTests
{
    [TestMethod]
    public void GetPart_Weights_AreASigmoidOfTheirSum()
    {
        var gate = new MemoryGate([0.5f, -1, 2, 0.25f]);
        Assert.AreEqual(2, gate.Order);
        Assert.AreEqual(1 / (1 + Math.Exp(-(0.5 + 2 * 0.5 + 0.25 * -3))), gate.GetPart(new GateInput(0, 0.5f, -3)), 1e-7);
        Assert.AreEqual(1 / (1 + Math.Exp(-(-1 + 2 * 0.25 + 0.25 * -1))), gate.GetPart(new GateInput(1, 0.25f, -1)), 1e-7);
    }

    [TestMethod]
    public void CreateEven_AnyInput_TrustsBothAlike() =>
        Assert.AreEqual(0.5, MemoryGate.CreateEven(4).GetPart(new GateInput(3, 0.1f, -2)));

    // After no known token the memory is right less often than after one: each has a best part of its own, found here by trying all.
    [TestMethod]
    public void Learn_TwoKindsOfTokens_FindsTheBestPartOfEach()
    {
        (GateInput Input, double Network, double Memory)[] tokens = [.. Enumerable.Range(0, 4000).Select(i =>
        {
            bool isMemoryRight = i % 10 < (i % 2 == 0 ? 3 : 8);
            return (new GateInput(i % 2, 0, 0), isMemoryRight ? 0.2 : 0.5, isMemoryRight ? 0.9 : 0.05);
        })];

        MemoryGate gate = MemoryGate.Learn(2, tokens);

        for (int matched = 0; matched < 2; matched++)
        {
            (GateInput, double Network, double Memory)[] kind = [.. tokens.Where(token => token.Input.Matched == matched)];
            double best = Enumerable.Range(1, 99).Select(percent => percent / 100.0)
                .MaxBy(part => kind.Sum(token => Math.Log((1 - part) * token.Network + part * token.Memory)));
            Assert.AreEqual(best, gate.GetPart(new GateInput(matched, 0, 0)), 0.02);
        }
    }

    [TestMethod]
    public void Learn_FewTokens_StaysNearTheEvenGate()
    {
        MemoryGate gate = MemoryGate.Learn(2, [(new GateInput(1, 0.5f, -1), 1e-6, 0.9)]);
        Assert.IsLessThan(0.6, gate.GetPart(new GateInput(1, 0.5f, -1)));
    }

    [TestMethod]
    public void Constructor_WeightsThatAreNoGate_Throws()
    {
        Assert.ThrowsExactly<FormatException>(() => new MemoryGate([1, 2]));
        Assert.ThrowsExactly<FormatException>(() => new MemoryGate([1, float.NaN, 2, 3]));
    }
}
