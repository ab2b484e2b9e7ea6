namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class DocumentSplitTests
{
    [TestMethod]
    [DataRow(10, 0.2, 2)]
    [DataRow(10, 0.001, 1)]
    [DataRow(10, 0.999, 9)]
    public void Select_OfEitherPart_KeepsOrderAndEachDocumentOnce(int count, double fraction, int expected)
    {
        int[] documents = [.. Enumerable.Range(0, count)];
        var split = new DocumentSplit(count, fraction, 3);
        int[] validation = [.. split.Select(documents, validation: true)];
        int[] training = [.. split.Select(documents, validation: false)];

        Assert.HasCount(expected, validation);
        CollectionAssert.AreEqual(documents, validation.Concat(training).Order().ToArray());
        CollectionAssert.AreEqual(training.Order().ToArray(), training);
        CollectionAssert.AreEqual(validation, new DocumentSplit(count, fraction, 3).Select(documents, validation: true).ToArray());
    }
}
