using Microsoft.ML.Leap.Benchmarks;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class PositionLossesTests
{
    [TestMethod]
    public void Losses_ByEachPolicy_EqualSingleStepsOfGeneration()
    {
        int[] ids = [.. Enumerable.Range(0, 60).Select(i => i * i % 23)];
        var config = new LeapConfig(23, 16, 8, 3, 2, initializerRange: 0.4);
        using var model = new LeapModel(config, CPU, 2);
        using var network = new LeapNetwork(config, model.GetWeights());

        Assert.AreEqual(Stepwise(PositionPolicy.Restart), PositionLosses.Restarting(network, ids), 1e-5);
        Assert.AreEqual(Stepwise(PositionPolicy.Clamp), PositionLosses.Endless(network, ids), 1e-5);
        Assert.AreNotEqual(PositionLosses.Blocks(network, ids), PositionLosses.Restarting(network, ids), 1e-3);

        double Stepwise(PositionPolicy policy)
        {
            List<int> context = [];
            double sum = 0;
            using NetworkState state = network.CreateState();
            float[] hidden = new float[config.HiddenSize];
            float[] logits = new float[config.VocabularySize];
            for (int i = 0; i < ids.Length - 1; i++)
            {
                if (policy == PositionPolicy.Restart && state.Position == config.ContextLength)
                {
                    state.Reset();
                    network.Read(context.TakeLast(3).ToArray(), state, hidden);
                }

                context.Add(ids[i]);
                network.Read([ids[i]], state, hidden);
                network.Logits([hidden], [logits]);
                sum -= logits[ids[i + 1]] - Math.Log(logits.Sum(logit => Math.Exp(logit)));
            }

            return sum / (ids.Length - 1);
        }
    }
}
