using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Lets torch, and kernels that go by its setting, use so many threads until disposed.</summary>
internal sealed class ThreadCount : IDisposable
{
    private readonly int _before = torch.get_num_threads();

    public ThreadCount(int count) => torch.set_num_threads(count);

    public void Dispose() => torch.set_num_threads(_before);
}
