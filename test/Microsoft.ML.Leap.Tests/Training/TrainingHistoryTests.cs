using System.Globalization;
using System.Text;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TrainingHistoryTests
{
    private static readonly TrainingRecord First = new()
    {
        Epoch = 1,
        Step = 10,
        TrainingLoss = 2.0 / 3,
        ValidationLoss = 0.1 + 0.2,
        LearningRate = 5e-4,
        GradientNorm = 1e-9,
        SkippedSteps = 2,
        Tokens = 123456789012,
        Elapsed = TimeSpan.FromTicks(244303),
    };

    [TestMethod]
    public void WriteThenRead_Records_RoundTripInAnyCulture()
    {
        TrainingRecord[] records = [First, First with { Step = 11, TrainingLoss = double.NaN, ValidationLoss = null }];
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("de-DE");
            using var stream = new MemoryStream();
            HistoryCsv.Write(stream, records);
            StringAssert.StartsWith(Encoding.UTF8.GetString(stream.ToArray()), "epoch,step,training_loss,validation_loss,");
            stream.Position = 0;
            CollectionAssert.AreEqual(records, HistoryCsv.Read(stream));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("epoch,step\n1,2\n")]
    public void Read_WrongHeader_IsAFormatException(string text) =>
        Assert.ThrowsExactly<FormatException>(() => HistoryCsv.Read(new MemoryStream(Encoding.UTF8.GetBytes(text))));

    [TestMethod]
    public void Read_WrongValue_NamesTheLine()
    {
        using var stream = new MemoryStream();
        HistoryCsv.Write(stream, [First]);
        byte[] text = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(stream.ToArray()).Replace("123456789012", "many"));
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => HistoryCsv.Read(new MemoryStream(text))).Message, "many");
    }

    [TestMethod]
    public void Best_OfSeveral_IsTheLeastLoss()
    {
        Assert.AreEqual(2, new TrainingHistory([First, First with { Step = 2, ValidationLoss = 0.1 }, First with { ValidationLoss = null }]).Best!.Step);
        Assert.IsNull(new TrainingHistory([]).Best);
    }

    [TestMethod]
    public void Best_LossThatIsNotANumber_IsPassedOver()
    {
        TrainingRecord undefined = First with { ValidationLoss = double.NaN };
        Assert.AreEqual(First, new TrainingHistory([undefined, First]).Best);
        Assert.IsNull(new TrainingHistory([undefined]).Best);
    }
}
