using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class DeviceSelectorTests
{
    private readonly List<string> _warnings = [];

    [TestMethod]
    [DataRow(null, null, 0, DeviceType.CPU, -1)]
    [DataRow(null, null, 2, DeviceType.CUDA, 0)]
    [DataRow(null, 1, 2, DeviceType.CUDA, 1)]
    [DataRow("cpu", 1, 2, DeviceType.CPU, -1)]
    [DataRow("cuda", null, 2, DeviceType.CUDA, 0)]
    [DataRow("cuda", 1, 2, DeviceType.CUDA, 1)]
    [DataRow("cuda:1", 0, 2, DeviceType.CUDA, 1)]
    public void Select_DeviceIsThere_FollowsTheOrder(string? requested, int? gpuDeviceId, int count, DeviceType type, int index)
    {
        torch.Device device = Select(requested, gpuDeviceId, fallbackToCpu: false, count);

        Assert.AreEqual(type, device.type);
        Assert.AreEqual(index, device.index);
        Assert.IsEmpty(_warnings);
    }

    [TestMethod]
    [DataRow("cuda", null, 0, "cuda was asked for")]
    [DataRow("cuda:2", null, 2, "cuda:2 was asked for")]
    [DataRow(null, 1, 1, "GPU 1 was asked for")]
    public void Select_GpuAbsent_ThrowsOrWarns(string? requested, int? gpuDeviceId, int count, string asked)
    {
        InvalidOperationException exception =
            Assert.ThrowsExactly<InvalidOperationException>(() => Select(requested, gpuDeviceId, fallbackToCpu: false, count));
        torch.Device device = Select(requested, gpuDeviceId, fallbackToCpu: true, count);

        StringAssert.Contains(exception.Message, asked);
        StringAssert.Contains(exception.Message, count == 0 ? "TorchBackend=cuda" : $"sees {count} CUDA GPU");
        StringAssert.Contains(exception.Message, "FallbackToCpu");
        Assert.AreEqual(DeviceType.CPU, device.type);
        Assert.HasCount(1, _warnings);
        StringAssert.Contains(_warnings[0], asked);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("gpu")]
    [DataRow("CUDA")]
    [DataRow("cuda:")]
    [DataRow("cuda:-1")]
    [DataRow("cuda: 1")]
    [DataRow("cuda:99999999999")]
    public void Select_UnknownName_ThrowsEvenWithFallback(string requested)
    {
        ArgumentException exception = Assert.ThrowsExactly<ArgumentException>(() => Select(requested, null, fallbackToCpu: true, 1));

        Assert.AreEqual("requested", exception.ParamName);
        StringAssert.Contains(exception.Message, $"'{requested}'");
    }

    [TestMethod]
    public void Select_NegativeIndex_Throws() =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Select(null, -1, fallbackToCpu: true, 1));

    [TestMethod]
    public void Select_ThisMachine_AgreesWithTorch()
    {
        torch.Device device = DeviceSelector.Select(null, null, fallbackToCpu: false, _warnings.Add);

        Assert.AreEqual(torch.cuda.is_available() ? DeviceType.CUDA : DeviceType.CPU, device.type);
    }

    private torch.Device Select(string? requested, int? gpuDeviceId, bool fallbackToCpu, int count) =>
        DeviceSelector.Select(requested, gpuDeviceId, fallbackToCpu, _warnings.Add, () => count);
}
