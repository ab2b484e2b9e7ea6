using Microsoft.ML.Leap.Benchmarks;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ShakespeareRunTests
{
    private static readonly string Text = string.Concat(Enumerable.Range(0, 150).Select(i => $"Line {i % 10}: to be or not.\n"));

    [TestMethod]
    [DataRow(ModelChoice.Leap, "original")]
    [DataRow(ModelChoice.Gpt2, "original")]
    [DataRow(ModelChoice.Leap, "default")]
    [DataRow(ModelChoice.Gpt2, "default")]
    public void Run_RepetitiveText_PredictsEveryValidationCharacterBetterThanByCounting(string model, string recipe)
    {
        ShakespeareReport report = ShakespeareRun.Run(Text, model, NetworkRecipe.Get(recipe), learningRate: 1e-3, CPU, TrainingPrecision.Float32, steps: 30, seed: 1);

        int characters = Text.Length - Text.Length * 9 / 10;
        Assert.AreEqual(characters, report.ValidationCharacters);
        Assert.AreEqual(Text.Distinct().Count(), report.VocabularySize);
        double entropy = Text.GroupBy(c => c).Sum(g => (double)g.Count() / Text.Length * -Math.Log((double)g.Count() / Text.Length));
        Assert.IsLessThan(entropy, report.ValidationLoss);
        if (recipe == "original")
            Assert.IsNull(report.ValidationLossMemory);
        else
            Assert.IsLessThan(report.ValidationLoss, report.ValidationLossMemory!.Value);
    }

    [TestMethod]
    public void Run_ShortText_IsRefused() =>
        Assert.ThrowsExactly<InvalidOperationException>(() => ShakespeareRun.Run(
            Text[..500], ModelChoice.Leap, NetworkRecipe.Original, learningRate: 1e-3, CPU, TrainingPrecision.Float32, steps: 1, seed: 1));
}
