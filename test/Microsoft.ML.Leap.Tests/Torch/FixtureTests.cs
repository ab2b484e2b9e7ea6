using System.Text;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The original network's own numbers.</summary>
[TestClass]
public class FixtureTests
{
    [TestMethod]
    [DataRow("tiny_global")]
    [DataRow("tiny_masked")]
    [DataRow("tiny_odd_windows")]
    [DataRow("tiny_windowed")]
    public void LeapModel_OriginalsWeights_GivesItsLogitsLossAndGradients(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using JsonDocument json = Json(name);
        IReadOnlyDictionary<string, Tensor> file = Load(name);
        using LeapModel model = Model(json, file);
        Tensor ids = file["input_ids"];
        Tensor mask = file["attention_mask"] != 0;

        Tensor logits = model.call(ids);
        Tensor loss = Loss(logits, ids, mask);
        loss.backward();

        Assert.IsLessThan(1e-4, (logits - file["logits"]).masked_select(mask.unsqueeze(-1)).abs().max().item<float>());
        Assert.AreEqual(json.RootElement.GetProperty("loss_real_targets").GetDouble(), loss.item<float>(), 1e-5);
        string[] gradients = [.. file.Keys.Where(key => key.StartsWith("grad.", StringComparison.Ordinal))];
        Assert.HasCount(name == "tiny_masked" ? 0 : model.Weights.Count, gradients);
        foreach (string key in gradients)
        {
            Tensor actual = model.Weights.Single(w => "grad." + w.Name == key).Weight.grad!;
            double error = ((actual - file[key]).abs().max() / file[key].abs().max()).item<float>();
            Assert.IsLessThan(1e-3, error, key);
        }
    }

    [TestMethod]
    [DataRow("attention_peaked_global")]
    [DataRow("attention_peaked_w4")]
    [DataRow("attention_peaked_w64")]
    public void MultiheadLeap_PeakedFocus_EqualsDoublePrecision(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using JsonDocument json = Json(name);
        IReadOnlyDictionary<string, Tensor> file = Load(name);
        int Setting(string key) => json.RootElement.GetProperty(key).GetInt32();
        using var noise = new DropoutNoise(0);
        Tensor projections = cat([file["q"], file["f1"], file["f2"], file["v"]], -1).view(1, Setting("length"), -1);
        int headSize = (int)projections.shape[2] / 4 / Setting("heads");
        using var attention = new MultiheadLeap(Setting("heads"), headSize, Setting("window_size"), Setting("rescale_value"), new Dropout(0, noise));

        foreach (Tensor actual in new[] { attention.call(projections), attention.Reference(projections, null, null) })
            Assert.IsLessThan(1e-5, (actual - file["out"].view(actual.shape)).abs().max().item<float>());
    }

    private static LeapModel Model(JsonDocument json, IReadOnlyDictionary<string, Tensor> file)
    {
        string config = json.RootElement.GetProperty("config").GetRawText();
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(config));
        var model = new LeapModel(ConfigJson.Read(stream), CPU, 0);
        model.eval();
        using (no_grad())
        {
            foreach (var (name, weight) in model.Weights)
                weight.copy_(file["weight." + name]);
        }

        return model;
    }

    private static Tensor Loss(Tensor logits, Tensor ids, Tensor mask)
    {
        long length = ids.shape[1] - 1;
        Tensor isTarget = mask.narrow(1, 1, length);
        Tensor predictions = logits.narrow(1, 0, length).masked_select(isTarget.unsqueeze(-1)).view(-1, logits.shape[2]);
        return nn.functional.cross_entropy(predictions, ids.narrow(1, 1, length).masked_select(isTarget));
    }

    private static JsonDocument Json(string name) => JsonDocument.Parse(File.ReadAllText(FixturePath(name + ".json")));

    private static IReadOnlyDictionary<string, Tensor> Load(string name) => TensorFiles.Load(FixturePath(name + ".safetensors"));

    private static string FixturePath(string file) => Path.Combine(AppContext.BaseDirectory, "Fixtures", file);
}
