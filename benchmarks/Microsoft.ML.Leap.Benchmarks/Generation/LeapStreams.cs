using System.Diagnostics;
using System.Numerics.Tensors;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>LEAP generating greedily from where texts stand: a step, the logits, the most likely token.</summary>
internal sealed class LeapStreams : IGenerationContestant
{
    // The windows' blocks end within: each round has its share of them.
    public const int TokensARound = 64;

    // What ran before has taken the caches.
    public const int Warmups = 8;

    private readonly RecurrentNetwork _network;
    private readonly RecurrentState[] _start;
    private readonly int[] _ids;
    private readonly float[][] _hidden;
    private readonly float[][] _logits;

    /// <param name="network">The network.</param>
    /// <param name="start">Where the texts stand; disposed with this object.</param>
    public LeapStreams(RecurrentNetwork network, RecurrentState[] start)
    {
        _network = network;
        _start = start;
        _ids = new int[start.Length];
        _hidden = [.. start.Select(_ => new float[network.Config.HiddenSize])];
        _logits = [.. start.Select(_ => new float[network.Config.VocabularySize])];
    }

    public double Measure()
    {
        RecurrentState[] states = [.. _start.Select(state => state.Clone())];
        for (int i = 0; i < Warmups; i++)
            Next(states);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < TokensARound; i++)
            Next(states);
        double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds / TokensARound;
        foreach (RecurrentState state in states)
            state.Dispose();
        return milliseconds;
    }

    public void Dispose()
    {
        foreach (RecurrentState state in _start)
            state.Dispose();
    }

    private void Next(RecurrentState[] states)
    {
        _network.Step(_ids, states, _hidden);
        _network.Logits(_hidden, _logits);
        for (int i = 0; i < _ids.Length; i++)
            _ids[i] = TensorPrimitives.IndexOfMax<float>(_logits[i]);
    }
}
