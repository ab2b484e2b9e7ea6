using System.Xml.Linq;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class TransformerDisplayTests
{
    private const string HostileName = "<img src=x onerror='alert(1)'>&\"";

    [TestMethod]
    public void Notebook_Transformer_ShowsItsShapeAndTraining()
    {
        XElement html = Shown.Html(TrainedModel.Transformer);
        Dictionary<string, string> rows = Shown.Rows(html);
        Assert.AreEqual("2", rows["Layers"]);
        Assert.AreEqual("16", rows["Hidden size"]);
        Assert.AreEqual("2, of size 8", rows["Heads"]);
        Assert.AreEqual("none: forget gates", rows["Windows"]);
        Assert.AreEqual("16 tokens", rows["Context length"]);
        Assert.AreEqual("yes", rows["Learned positions"]);
        long parameters = TrainedModel.Network.Weights.Sum(weight => weight.Weight.NumberOfElements);
        Assert.AreEqual($"{parameters:N0} in single precision; the tied output matrix counts once", rows["Parameters"]);
        Assert.AreEqual("bytes, vocabulary of 257", rows["Tokenizer"]);
        Assert.AreEqual("Text", rows["Text column"]);
        Assert.AreEqual("LogLikelihood (Single), TokenCount (Int32), Perplexity (Single), GeneratedText (String)", rows["Outputs"]);
        Assert.AreEqual("cpu", rows["Device"]);
        Assert.IsNotNull(html.Descendants(Shown.Svg + "svg").SingleOrDefault());
        StringAssert.Contains(html.Value, $"training loss {TrainedModel.Transformer.History.Records[^1].TrainingLoss:0.0000}");
    }

    [TestMethod]
    public void Notebook_HostileNamesAndTokens_AreText()
    {
        var context = new MLContext(1);
        using LeapLanguageModelTransformer model = TinyModel.Fit(context, options =>
        {
            options.LogLikelihoodColumnName = HostileName;
            options.Tokenizer = TokenizerOptions.Bytes(["<script>", "</table>", .. Enumerable.Range(0, 100).Select(i => $"<extra_{i}>")]);
            options.Epochs = 1;
            options.LayerCount = 4;
            options.UseLocalAttention = false;
            options.UsePositionEmbeddings = false;
        });

        // Parsed as XML, so that an element of a name or token would not be text.
        XElement html = XElement.Parse(Formatted(model));
        Dictionary<string, string> rows = Shown.Rows(html);
        StringAssert.Contains(rows["Outputs"], HostileName);
        StringAssert.StartsWith(rows["Special literals"], "<script>, </table>, <extra_0>, ");
        StringAssert.EndsWith(rows["Special literals"], "and 94 more");
        Assert.IsEmpty(html.Descendants("script").Concat(html.Descendants("img")).ToArray());
        Assert.AreEqual("global (4 layers)", rows["Windows"]);
        using LeapLanguageModelTransformer windowed = TinyModel.Fit(context, settings => settings.UseForgetGates = false);
        Assert.AreEqual("4, global", Shown.Rows(XElement.Parse(Formatted(windowed)))["Windows"]);
        Assert.AreEqual("no", rows["Learned positions"]);
    }

    [TestMethod]
    public void Notebook_DisposedTransformer_SaysSo()
    {
        LeapLanguageModelTransformer model = TinyModel.Fit(new MLContext(1));
        model.Dispose();
        Assert.AreEqual("none: the model is disposed", Shown.Rows(Shown.Html(model))["Device"]);
        StringAssert.EndsWith(model.ToString(), "; disposed");
    }

    [TestMethod]
    public void Notebook_Transformer_LeavesTorchAsItWas()
    {
        LeapLanguageModelTransformer model = TrainedModel.Transformer;
        using var state = new TorchState();
        Shown.Html(model);
        StringAssert.EndsWith(model.ToString(), "; bytes tokenizer with 257 ids; reads 'Text' on cpu");
    }

    private static string Formatted(LeapLanguageModelTransformer model)
    {
        using var writer = new StringWriter();
        Assert.IsTrue(new TransformerDisplay().Format(model, writer));
        return writer.ToString();
    }
}
