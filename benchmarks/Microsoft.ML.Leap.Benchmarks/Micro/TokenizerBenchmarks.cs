using BenchmarkDotNet.Attributes;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Learning a byte-level BPE, and encoding with it: made-up texts of 400,000 words, 2.8 million characters.</summary>
public class TokenizerBenchmarks
{
    private const int VocabularySize = 8192;

    private string[] _texts = null!;
    private LeapTokenizer _tokenizer = null!;

    [GlobalSetup]
    public void Setup()
    {
        _texts = [.. new ScoringTexts(VocabularySize).Corpus(4000, 100)];
        _tokenizer = Train();
    }

    [Benchmark]
    public LeapTokenizer Train() => TokenizerOptions.ByteLevelBpe(VocabularySize).Create(_texts.Select(text => text.AsMemory()), default);

    [Benchmark]
    public int Encode() => _texts.Sum(text => _tokenizer.Encode(text).Count);
}
