using System.Diagnostics;
using System.Numerics.Tensors;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One way of making the next token at one place, timed again and again.</summary>
internal interface IGenerationContestant : IDisposable
{
    /// <summary>Makes tokens from the same place as the last time.</summary>
    /// <returns>The milliseconds of one token; with several texts, of one of each.</returns>
    double Measure();
}

/// <summary>LEAP generating greedily from where texts stand: a step, the logits, the most likely token.</summary>
internal sealed class LeapStreams : IGenerationContestant
{
    // The windows' blocks end within: each round has its share of them.
    public const int TokensPerRound = 64;

    // What ran before has taken the caches.
    public const int Warmups = 8;

    private readonly LeapNetwork _network;
    private readonly NetworkState[] _start;
    private readonly int[] _ids;
    private readonly float[][] _hidden;
    private readonly float[][] _logits;

    /// <param name="network">The network.</param>
    /// <param name="start">Where the texts stand; disposed with this object.</param>
    public LeapStreams(LeapNetwork network, NetworkState[] start)
    {
        _network = network;
        _start = start;
        _ids = new int[start.Length];
        _hidden = [.. start.Select(_ => new float[network.Config.HiddenSize])];
        _logits = [.. start.Select(_ => new float[network.Config.VocabularySize])];
    }

    public double Measure()
    {
        NetworkState[] states = [.. _start.Select(state => state.Clone())];
        for (int i = 0; i < Warmups; i++)
            Next(states);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < TokensPerRound; i++)
            Next(states);
        double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds / TokensPerRound;
        foreach (NetworkState state in states)
            state.Dispose();
        return milliseconds;
    }

    public void Dispose()
    {
        foreach (NetworkState state in _start)
            state.Dispose();
    }

    private void Next(NetworkState[] states)
    {
        _network.Step(_ids, states, _hidden);
        _network.Logits(_hidden, _logits);
        for (int i = 0; i < _ids.Length; i++)
            _ids[i] = TensorPrimitives.IndexOfMax<float>(_logits[i]);
    }
}

/// <summary>LEAP reading the whole prefix anew for each token.</summary>
/// <param name="network">The network.</param>
/// <param name="ids">The prefix.</param>
/// <param name="allLogits">Whether the logits of all tokens are computed, as the original does; otherwise the last token's alone.</param>
internal sealed unsafe class LeapRecomputation(LeapNetwork network, int[] ids, bool allLogits) : IGenerationContestant
{
    // Logits of all tokens at once would take hundreds of megabytes.
    private const int RowsAtOnce = 64;

    private readonly float[] _logits = new float[RowsAtOnce * network.Config.VocabularySize];

    public double Measure()
    {
        int d = network.Config.HiddenSize;
        int next = 0;
        long start = Stopwatch.GetTimestamp();
        network.Forward([ids], null, (_, first, count, hidden) =>
        {
            int row = allLogits ? 0 : first + count == ids.Length ? count - 1 : count;
            fixed (float* logits = _logits)
            {
                for (int n; row < count; row += n)
                {
                    n = Math.Min(RowsAtOnce, count - row);
                    network.Logits(hidden + (long)row * d, n, logits);
                    next = TensorPrimitives.IndexOfMax(_logits.AsSpan((n - 1) * network.Config.VocabularySize, network.Config.VocabularySize));
                }
            }
        });
        GC.KeepAlive(next);
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    public void Dispose()
    {
    }
}

/// <summary>GPT-2 generating greedily from a text whose keys and values are cached.</summary>
internal sealed class Gpt2Stream : IGenerationContestant
{
    // The place moves on within a round; 16 tokens of 2,048 are no matter.
    public const int TokensPerRound = 16;
    public const int Warmups = 2;

    private readonly int _length;
    private readonly Gpt2Model _model;
    private readonly Gpt2Weights _weights;
    private readonly Gpt2Step _step;
    private readonly KeyValueCache _cache;
    private readonly float[] _hidden;
    private readonly float[] _logits;
    private int _id;

    /// <param name="settings">The sizes.</param>
    /// <param name="ids">The text, which is read here.</param>
    public Gpt2Stream(GenerationSettings settings, int[] ids)
    {
        _length = ids.Length;
        int capacity = _length + Warmups + TokensPerRound;
        _model = new Gpt2Model(settings.Gpt2(capacity), TorchSharp.torch.CPU, seed: 1);
        _weights = new Gpt2Weights(_model);
        _step = new Gpt2Step(_weights, capacity);
        _cache = new KeyValueCache(_model.Config, capacity);
        _hidden = new float[settings.HiddenSize];
        _logits = new float[settings.VocabularySize];
        foreach (int id in ids)
            _step.Run(id, _cache, _hidden);
    }

    public double Measure()
    {
        _cache.Length = _length;
        for (int i = 0; i < Warmups; i++)
            Next();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < TokensPerRound; i++)
            Next();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds / TokensPerRound;
    }

    public void Dispose()
    {
        _cache.Dispose();
        _step.Dispose();
        _weights.Dispose();
        _model.Dispose();
    }

    private void Next()
    {
        _step.Run(_id, _cache, _hidden);
        _step.Logits(_hidden, _logits);
        _id = TensorPrimitives.IndexOfMax<float>(_logits);
    }
}
