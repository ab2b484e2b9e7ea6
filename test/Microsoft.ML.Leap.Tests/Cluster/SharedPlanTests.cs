using System.Text;

namespace Microsoft.ML.Leap.Tests.Cluster;

[TestClass]
public sealed class SharedPlanTests
{
    [TestMethod]
    public void ToPlan_OfBytes_IsThePlan()
    {
        LeapTokenizer tokenizer = TokenizerOptions.ByteLevelBpe(300).Create(TinyModel.Texts.Select(text => text.AsMemory()), CancellationToken.None);
        TrainingPlan plan = new(3, Recipe(), tokenizer, 40, EvaluationCount: 5);

        TrainingPlan read = SharedPlan.Parse(SharedPlan.Create(plan).ToBytes()).ToPlan();

        Assert.AreEqual(3, read.Seed);
        Assert.AreEqual(40, read.StepCount);
        Assert.AreEqual(5, read.EvaluationCount);
        Assert.AreEqual(plan.Recipe, read.Recipe);
        Assert.AreEqual(tokenizer.VocabularySize, read.Tokenizer.VocabularySize);
        foreach (string text in TinyModel.Texts)
            Assert.AreSequenceEqual(tokenizer.Encode(text), read.Tokenizer.Encode(text));
    }

    [TestMethod]
    public void Parse_NoPlan_Throws()
    {
        FormatException exception = Assert.ThrowsExactly<FormatException>(() => SharedPlan.Parse(Encoding.UTF8.GetBytes("{\"Seed\":")));
        StringAssert.StartsWith(exception.Message, "The plan of a training run is damaged: ");
    }

    private static TrainingRecipe Recipe() => TrainingRecipe.Choose(TinyModel.Options(), 7, 200, hasValidationData: false);
}
