namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TrainingGroupTests
{
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Fit_AloneInAGroup_IsOrdinaryTrainingToTheBit(bool hasOwnPart)
    {
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.ValidationFraction = 0.3;
        options.MaximumSteps = 6;
        options.EvaluationInterval = TrainingInterval.Steps(2);
        options.KeepBestModel = false;
        using LeapLanguageModelTransformer expected = new LeapLanguageModelTrainer(context, options).Fit(data);
        var group = new LonelyGroup(hasOwnPart);

        using LeapLanguageModelTransformer model = new LeapLanguageModelTrainer(context, options) { Group = group }.Fit(data);

        CollectionAssert.AreEqual(WeightsOf(expected), WeightsOf(model));
        CollectionAssert.AreEqual((long[])[2, 4, 6], group.Steps);
        CollectionAssert.AreEqual((int[])[2, 4, 6], model.History.Records.Select(record => (int)record.Step).ToArray());
        Assert.AreEqual(expected.History.Records[^1].ValidationLoss, model.History.Records[^1].ValidationLoss);
        Assert.AreEqual(hasOwnPart, group.Rows == 0);
    }

    // Rounds of two steps: evaluations after every second round, or every round where more were wanted, and at the end.
    [TestMethod]
    [DataRow(1, new[] { 2, 4, 6, 8 })]
    [DataRow(4, new[] { 4, 8 })]
    [DataRow(3, new[] { 4, 8 })]
    [DataRow(100, new[] { 8 })]
    public void Fit_EvaluationInterval_IsKeptByWholeRounds(int interval, int[] expected)
    {
        var context = new MLContext(1);
        LeapLanguageModelTrainer.Options options = With(maximumSteps: 8);
        options.ValidationFraction = 0.3;
        options.EvaluationInterval = TrainingInterval.Steps(interval);

        using LeapLanguageModelTransformer model =
            new LeapLanguageModelTrainer(context, options) { Group = new LonelyGroup(hasOwnPart: false) }.Fit(TinyModel.View(context, TinyModel.Texts));

        CollectionAssert.AreEqual(expected, model.History.Records.Select(record => (int)record.Step).ToArray());
    }

    [TestMethod]
    public void Fit_GroupThatIsFarther_GoesOnThere()
    {
        var context = new MLContext(1);
        var group = new LonelyGroup(hasOwnPart: false) { First = 4, Lost = 2 };

        using LeapLanguageModelTransformer model =
            new LeapLanguageModelTrainer(context, With(maximumSteps: 8)) { Group = group }.Fit(TinyModel.View(context, TinyModel.Texts));

        // After the round from 4 to 6 the others are at 8 already.
        CollectionAssert.AreEqual((long[])[6], group.Steps);
        Assert.AreEqual(8, (int)model.History.Records[^1].Step);
    }

    [TestMethod]
    public void Fit_GroupThatIsOver_GivesItsWeights()
    {
        var context = new MLContext(1);
        var group = new LonelyGroup(hasOwnPart: false) { First = 8, Weight = 0.25f };

        using LeapLanguageModelTransformer model =
            new LeapLanguageModelTrainer(context, With(maximumSteps: 8)) { Group = group }.Fit(TinyModel.View(context, TinyModel.Texts));

        Assert.IsEmpty(group.Steps);
        Assert.IsTrue(Array.TrueForAll(WeightsOf(model), weight => weight == 0.25f));
    }

    internal static float[] WeightsOf(LeapLanguageModelTransformer model) =>
        [.. model.Model.GetParts().Weights.OrderBy(weight => weight.Key, StringComparer.Ordinal).SelectMany(weight => weight.Value)];

    private static LeapLanguageModelTrainer.Options With(int maximumSteps)
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.MaximumSteps = maximumSteps;
        return options;
    }

    // Exchanges nothing.
    private sealed class LonelyGroup(bool hasOwnPart) : TrainingGroup
    {
        public List<long> Steps { get; } = [];

        public int Rows { get; private set; }

        public int First { get; init; }

        public int Lost { get; init; }

        public float? Weight { get; init; }

        public override int PartCount => 1;

        public override bool HasOwnPartAlone => hasOwnPart;

        public override TrainingPlan? Join() => null;

        public override bool Takes(ReadOnlySpan<char> row)
        {
            Rows++;
            return true;
        }

        public override SharedSteps Start(TrainingPlan plan, float[] weights)
        {
            if (Weight is float weight)
                weights.AsSpan().Fill(weight);
            return new SharedSteps(First, plan.StepCount, 2);
        }

        public override long Exchange(long step, long tokens, float[] weights)
        {
            Steps.Add(step);
            return step + Lost;
        }
    }
}
