using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ProductWorkTests
{
    [TestMethod]
    public void OperationsPerStep_OfASmallShape_CountsEveryProductThreeTimes()
    {
        var shape = new TrainingShape { LayerCount = 2, HiddenSize = 4, HeadCount = 2, ContextLength = 5, VocabularySize = 7, BatchSize = 3 };
        const double Tokens = 15;
        double layer = Product(Tokens, 4, 16) + Product(Tokens, 4, 16) + Product(Tokens, 16, 4);
        double head = Product(Tokens, 4, 7);
        Assert.AreEqual(3 * (2 * layer + head), ProductWork.OperationsPerStep(shape));
    }

    private static double Product(double rows, double inner, double columns) => 2 * rows * inner * columns;
}
