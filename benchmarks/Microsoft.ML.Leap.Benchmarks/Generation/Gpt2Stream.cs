using System.Diagnostics;
using System.Numerics.Tensors;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>GPT-2 generating greedily from a text whose keys and values are cached.</summary>
internal sealed class Gpt2Stream : IGenerationContestant
{
    // The place moves on within a round; 16 tokens of 2,048 are no matter.
    public const int TokensARound = 16;
    public const int Warmups = 2;

    private readonly int _length;
    private readonly Gpt2Model _model;
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
        int capacity = _length + Warmups + TokensARound;
        _model = new Gpt2Model(settings.Gpt2(capacity), TorchSharp.torch.CPU, seed: 1);
        _step = new Gpt2Step(new Gpt2Weights(_model), capacity);
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
        for (int i = 0; i < TokensARound; i++)
            Next();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds / TokensARound;
    }

    public void Dispose()
    {
        _cache.Dispose();
        _step.Dispose();
        _model.Dispose();
    }

    private void Next()
    {
        _step.Run(_id, _cache, _hidden);
        _step.Logits(_hidden, _logits);
        _id = TensorPrimitives.IndexOfMax<float>(_logits);
    }
}
