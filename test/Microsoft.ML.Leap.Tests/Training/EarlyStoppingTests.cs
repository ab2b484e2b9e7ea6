namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class EarlyStoppingTests
{
    [TestMethod]
    public void Observe_NoImprovementForThePatience_Stops()
    {
        Assert.AreEqual(5, StopsAt(patience: 2, improvement: 0, 3, 2, 1, 1.5, 1, 0.5));
        Assert.AreEqual(3, StopsAt(patience: 2, improvement: 0.5, 3, 2.9, 2.6));
        Assert.AreEqual(2, StopsAt(patience: 1, improvement: 0, 3, double.NaN));
        Assert.IsNull(StopsAt(patience: 2, improvement: 0, 3, 3, 2, 2, 1));
        Assert.IsNull(StopsAt(patience: null, improvement: 0, 1, 2, 3, 4));
    }

    private static int? StopsAt(int? patience, double improvement, params double[] losses)
    {
        var state = new TrainingState();
        LeapLanguageModelTrainer.Options options = TrainingSamples.Options(1, 1).With(o =>
        {
            o.EarlyStoppingPatience = patience;
            o.EarlyStoppingImprovement = improvement;
        });
        var stopping = new EarlyStopping(options, state);
        for (int i = 0; i < losses.Length; i++)
        {
            stopping.Observe(losses[i]);
            if (state.IsStoppedEarly)
                return i + 1;
        }

        return null;
    }
}
