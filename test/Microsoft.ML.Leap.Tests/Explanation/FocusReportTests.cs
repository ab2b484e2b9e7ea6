using System.Text.Json.Nodes;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class FocusReportTests
{
    private const string Text = "the cat ☕ sat";

    private static LeapLanguageModelTransformer Model => TrainedModel.Transformer;

    [TestMethod]
    public void Explain_Text_WeightsAndGatesEqualANaiveNetwork()
    {
        FocusReport report = Model.Explain(Text);

        var naive = new NaiveLeap(Model.Config, TrainedModel.Network.Weights.ToDictionary(
            entry => entry.Name, entry => entry.Weight.data<float>().Select(value => (double)value).ToArray()));
        long[] ids = [Model.Tokenizer.EndOfTextId, .. Model.Tokenizer.Encode(Text).Select(id => (long)id)];
        naive.Logits(ids);

        CollectionAssert.AreEqual(ids, report.Tokens.Select(token => (long)token.Id).ToArray());
        CollectionAssert.AreEqual(Model.Config.WindowSizes.ToArray(), report.WindowSizes.ToArray());
        for (int layer = 0; layer < report.LayerCount; layer++)
        {
            for (int head = 0; head < report.HeadCount; head++)
            {
                (double[] weights, double[] gates, double[] kept) = naive.Heads[layer * report.HeadCount + head];
                for (int j = 0; j < ids.Length; j++)
                {
                    Assert.AreEqual(weights[j], report.GetWeights(layer, head)[j], 1e-4 * weights[j]);
                    Assert.AreEqual(gates[j], report.GetGates(layer, head)[j], 1e-5);
                    Assert.AreEqual(kept[j], report.GetKept(layer, head)[j], 1e-5);
                }
            }
        }
    }

    [TestMethod]
    public void GetShares_EachPosition_IsTheRowOfACausalSoftmax()
    {
        FocusReport report = Model.Explain(Text);
        for (int layer = 0; layer < report.LayerCount; layer++)
        {
            float[] weights = [.. report.GetWeights(layer, 1)];
            for (int i = 0; i < weights.Length; i++)
            {
                double[] shares = report.GetShares(layer, 1, i);
                int first = Math.Max(0, i - report.WindowSizes[layer] + 1);
                double total = Enumerable.Range(first, i + 1 - first).Sum(j => weights[j] * Kept(report, layer, 1, i, j));
                for (int j = 0; j < weights.Length; j++)
                {
                    Assert.AreEqual(j >= first && j <= i ? weights[j] * Kept(report, layer, 1, i, j) / total : 0, shares[j], 1e-12);
                    Assert.AreEqual(shares[j], report.GetShare(layer, 1, i, j), 1e-12);
                }

                Assert.AreEqual(1, shares.Sum(), 1e-12);
            }
        }
    }

    [TestMethod]
    public void Explain_Text_LikelihoodsEqualTheNaiveAndSumToTheScore()
    {
        FocusReport report = Model.Explain(Text);
        int[] ids = [.. report.Tokens.Select(token => token.Id)];
        double[][] naive = TrainedModel.NaiveLogProbabilities(ids[..^1]);

        Assert.IsTrue(report.Tokens[0].IsStart && double.IsNaN(report.Tokens[0].LogLikelihood) && double.IsNaN(report.Tokens[0].Surprisal));
        for (int i = 1; i < ids.Length; i++)
        {
            Assert.AreEqual(naive[i - 1][ids[i]], report.Tokens[i].LogLikelihood, 1e-4);
            Assert.AreEqual(Math.Pow(2, -report.Tokens[i].Surprisal), Math.Exp(report.Tokens[i].LogLikelihood), 1e-9);
        }

        Assert.AreEqual(TrainedModel.Score(Text)[0].LogLikelihood, report.Tokens.Skip(1).Sum(token => token.LogLikelihood), 1e-3);
    }

    [TestMethod]
    public void GetFocus_OfText_EqualsItsDefinition()
    {
        FocusReport report = Model.Explain(Text);
        int last = report.Tokens.Count - 1;
        AssertFocus(report, firstLooking: 0, last);
    }

    [TestMethod]
    public void GetFocus_OfContinuation_CountsThePositionsThatPredictIt()
    {
        FocusReport report = Model.Explain("the cat", " sat");

        Assert.AreEqual("the cat sat", report.Text);
        Assert.AreEqual(7, report.PromptTokenCount);
        CollectionAssert.AreEqual(
            new[] { 8, 9, 10, 11 }, report.Tokens.Where(token => token.IsContinuation).Select(token => token.Index).ToArray());
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 11).ToArray(), report.Tokens.Skip(1).Select(token => token.Start).ToArray());

        // Bytes: the prompt's last token, 7, predicts token 8, and token 10 the last one.
        AssertFocus(report, firstLooking: 7, lastLooking: 10);
        Assert.AreEqual(0, report.Focus[11], "the last token is read by none");
    }

    [TestMethod]
    public void Explain_ModelWithWindows_KeepsAllWithinThemAndNothingBehind()
    {
        using LeapLanguageModelTransformer windowed = TinyModel.Fit(TrainedModel.Context, options => options.UseForgetGates = false);
        FocusReport report = windowed.Explain("the cat", " sat");

        CollectionAssert.AreEqual(new[] { 4, 16 }, report.WindowSizes.ToArray());
        Assert.IsTrue(report.GetKept(0, 1).All(part => part == 1));
        AssertFocus(report, firstLooking: 7, lastLooking: 10);
        Assert.AreEqual(0, report.GetFocus(0)[2], "the window of 4 is behind it");
    }

    [TestMethod]
    public void Explain_AsMuchAsFitsAndMore_ThrowsBeyondNamingTheLimit()
    {
        string longest = new('a', Model.Config.ContextLength - 1);
        Assert.HasCount(Model.Config.ContextLength, Model.Explain(longest).Tokens);

        ArgumentException e = Assert.ThrowsExactly<ArgumentException>(() => Model.Explain(longest + "a"));
        Assert.AreEqual("text", e.ParamName);
        StringAssert.Contains(e.Message, "16 tokens");
        StringAssert.Contains(e.Message, "at most 15");
        Assert.AreEqual("continuation", Assert.ThrowsExactly<ArgumentException>(() => Model.Explain(longest, "a")).ParamName);
    }

    [TestMethod]
    public void Explain_EmptyText_ReportsTheStartAlone()
    {
        FocusReport report = Model.Explain("");
        Assert.IsTrue(report.Tokens.Single().IsStart);
        Assert.AreEqual(1, report.GetShare(0, 0, 0, 0));
        Assert.AreEqual(report.GetGates(1, 0)[0], report.GetFocus(1, 0)[0], 1e-6);
    }

    [TestMethod]
    public void Explain_Call_LeavesTorchAsItWas()
    {
        _ = Model;
        using var state = new TorchState();
        Model.Explain(Text);
        Model.Explain("the", " cat");
    }

    [TestMethod]
    public void Explain_ManyThreads_AgreeWithOne()
    {
        string expected = Model.Explain(Text).ToJson();
        Parallel.For(0, 8, _ => Assert.AreEqual(expected, Model.Explain(Text).ToJson()));
    }

    [TestMethod]
    public void Explain_BadArguments_AreRefused()
    {
        Assert.ThrowsExactly<ArgumentNullException>(() => Model.Explain(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => Model.Explain("a", null!));
        FocusReport report = Model.Explain("a");
        Assert.AreEqual("layer", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => report.GetWeights(2, 0)).ParamName);
        Assert.AreEqual("head", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => report.GetGates(0, -1)).ParamName);
        Assert.AreEqual("position", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => report.GetShares(0, 0, 2)).ParamName);
        Assert.AreEqual("token", Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => report.GetShare(0, 0, 0, 2)).ParamName);
    }

    [TestMethod]
    public void ToDataView_HasARowAHeadAndToken()
    {
        FocusReport report = Model.Explain("the ca", "t");
        IDataView view = report.ToDataView(TrainedModel.Context);

        int[] layers = [.. view.GetColumn<int>("Layer")];
        int[] heads = [.. view.GetColumn<int>("Head")];
        int[] tokens = [.. view.GetColumn<int>("Token")];
        float[] weights = [.. view.GetColumn<float>("Weight")];
        float[] focus = [.. view.GetColumn<float>("Focus")];
        float[] surprise = [.. view.GetColumn<float>("Surprise")];
        Assert.HasCount(2 * 2 * 8, weights);
        Assert.HasCount(weights.Length, layers.Zip(heads, tokens).Distinct().ToArray());
        for (int i = 0; i < weights.Length; i++)
        {
            Assert.AreEqual(report.GetWeights(layers[i], heads[i])[tokens[i]], weights[i]);
            Assert.AreEqual(report.GetFocus(layers[i], heads[i])[tokens[i]], focus[i]);
            Assert.AreEqual((float)report.Tokens[tokens[i]].Surprisal, surprise[i]);
        }

        CollectionAssert.AreEqual(
            report.Tokens.Select(token => token.Text).ToArray(), view.GetColumn<string>("TokenText").Take(8).ToArray());
        Assert.AreEqual(4, view.GetColumn<bool>("IsContinuation").Count(value => value));
    }

    [TestMethod]
    public void ToJson_HoldsTheReport()
    {
        FocusReport report = Model.Explain("a\ud800<é>");
        JsonNode json = JsonNode.Parse(report.ToJson())!;

        Assert.AreEqual("a\ufffd<é>", (string?)json["text"]);
        Assert.IsNull(json["tokens"]![0]!["logLikelihood"]);
        Assert.HasCount(report.Tokens.Count, json["tokens"]!.AsArray());
        Assert.AreEqual(report.Tokens[2].Surprisal, (double)json["tokens"]![2]!["surprise"]!);
        Assert.AreEqual(report.GetWeights(1, 0)[3], (float)json["layers"]![1]!["heads"]![0]!["weights"]![3]!);
        Assert.AreEqual(report.GetFocus(1)[3], (float)json["layers"]![1]!["focus"]![3]!);
        Assert.AreEqual(16, (int)json["layers"]![1]!["window"]!);
        Assert.DoesNotContain("<", report.ToJson(), "it can stand in HTML");
    }

    private static void AssertFocus(FocusReport report, int firstLooking, int lastLooking)
    {
        double[] all = new double[report.Tokens.Count];
        for (int layer = 0; layer < report.LayerCount; layer++)
        {
            double[] mean = new double[all.Length];
            for (int head = 0; head < report.HeadCount; head++)
            {
                for (int j = 0; j < all.Length; j++)
                {
                    double expected = DefinedFocus(report, layer, head, j, firstLooking, lastLooking);
                    Assert.AreEqual(expected, report.GetFocus(layer, head)[j], 1e-5 * expected);
                    mean[j] += expected / report.HeadCount;
                    all[j] += expected / report.HeadCount / report.LayerCount;
                }
            }

            for (int j = 0; j < all.Length; j++)
                Assert.AreEqual(mean[j], report.GetFocus(layer)[j], 1e-5 * mean[j]);
        }

        for (int j = 0; j < all.Length; j++)
            Assert.AreEqual(all[j], report.Focus[j], 1e-5 * all[j]);
    }

    private static double DefinedFocus(FocusReport report, int layer, int head, int token, int firstLooking, int lastLooking)
    {
        int window = report.WindowSizes[layer];
        int[] looking = [.. Enumerable.Range(0, report.Tokens.Count)
            .Where(i => i >= firstLooking && i <= lastLooking && i >= token && i - window < token)];
        double seen = looking.Sum(i => Kept(report, layer, head, i, token));
        double sum = looking.Sum(i => report.GetGates(layer, head)[i] * Count(i) * report.GetShare(layer, head, i, token));
        return looking.Length == 0 ? 0 : sum / seen;

        double Count(int i) => Enumerable.Range(0, i + 1).Where(j => i - window < j).Sum(j => Kept(report, layer, head, i, j));
    }

    // What the gates of the positions after a token, up to the one that looks, keep of it.
    private static double Kept(FocusReport report, int layer, int head, int position, int token) =>
        report.GetKept(layer, head).Skip(token + 1).Take(position - token).Aggregate(1.0, (product, part) => product * part);
}
