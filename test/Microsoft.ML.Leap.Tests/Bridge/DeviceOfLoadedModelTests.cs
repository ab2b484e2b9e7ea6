using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Where a model that was trained on a CPU goes when it is loaded for a GPU that is not there.</summary>
[TestClass]
public class DeviceOfLoadedModelTests
{
    private static byte[] s_zip = [];

    [ClassInitialize]
    public static void Train(TestContext _)
    {
        if (torch.cuda.is_available())
            Assert.Inconclusive("There is a GPU here.");
        var context = new MLContext(1);
        using LeapLanguageModelTransformer model = TinyModel.Fit(context);
        s_zip = SavedModel.Zip(context, model);
    }

    [TestMethod]
    public void Load_GpuAbsent_ThrowsSayingWhatToDo()
    {
        var context = new MLContext { GpuDeviceId = 0, FallbackToCpu = false };
        using var state = new TorchState();
        var exception = Assert.Throws<InvalidOperationException>(() => context.Model.Load(new MemoryStream(s_zip), out _));
        StringAssert.Contains(exception.Message, "GPU 0 was asked for");
        StringAssert.Contains(exception.Message, "FallbackToCpu");
    }

    [TestMethod]
    public void Load_GpuAbsentInAPipeline_ThrowsTheSame()
    {
        var context = new MLContext(1);
        var pipeline = context.Transforms.CopyColumns("Text", "Text")
            .Append(context.Leap().LanguageModel(TinyModel.Options()))
            .Append(context.Transforms.CopyColumns("Copy", "Perplexity"));
        using var model = pipeline.Fit(TinyModel.View(context, TinyModel.Texts));
        byte[] zip = SavedModel.Zip(context, model);

        var fresh = new MLContext { GpuDeviceId = 0, FallbackToCpu = false };
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => fresh.Model.Load(new MemoryStream(zip), out _)).Message, "GPU 0 was asked for");
    }

    [TestMethod]
    public void Load_GpuAbsentWithFallback_WarnsAndTakesTheCpu()
    {
        var context = new MLContext { GpuDeviceId = 0, FallbackToCpu = true };
        List<string> messages = [];
        context.Log += (_, e) => messages.Add(e.Message);
        using var model = (IDisposable)context.Model.Load(new MemoryStream(s_zip), out _);
        Assert.ContainsSingle(message => message.Contains("GPU 0 was asked for", StringComparison.Ordinal), messages);
    }
}
