using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The keys and values that GPT-2 has seen, each head's in one piece: what attention reads, it reads in order.</summary>
internal sealed unsafe class KeyValueCache : IDisposable
{
    private readonly LeapConfig _config;
    private readonly int _capacity;
    private readonly float* _memory;

    /// <param name="config">The network's shape.</param>
    /// <param name="capacity">The most tokens.</param>
    public KeyValueCache(LeapConfig config, int capacity)
    {
        _config = config;
        _capacity = capacity;
        _memory = (float*)NativeMemory.AlignedAlloc((nuint)(2L * config.LayerCount * capacity * config.HiddenSize * sizeof(float)), 64);
    }

    /// <summary>Gets or sets how many tokens it holds.</summary>
    public int Length { get; set; }

    public int Capacity => _capacity;

    /// <summary>Gets a head's keys, [capacity, e].</summary>
    public float* Keys(int layer, int head) => Rows(2 * layer, head);

    /// <summary>Gets a head's values, [capacity, e].</summary>
    public float* Values(int layer, int head) => Rows(2 * layer + 1, head);

    public void Dispose() => NativeMemory.AlignedFree(_memory);

    private float* Rows(int part, int head) => _memory + ((long)part * _config.HeadCount + head) * _capacity * _config.HeadSize;
}
