namespace Microsoft.ML.Leap;

/// <summary>Byte-level BPE, learned here or GPT-2's. Lossless, since every byte is a token.</summary>
internal sealed class BytePairTokenizer : LeapTokenizer
{
    private readonly BytePairVocabulary _vocabulary;
    private readonly BytePairEncoder _encoder;

    public BytePairTokenizer(TokenizerSettings settings, BytePairVocabulary vocabulary)
        : base(settings, vocabulary.Count, new SpecialLiteralSet(settings.SpecialLiterals))
    {
        _vocabulary = vocabulary;
        _encoder = new BytePairEncoder(vocabulary);
    }

    private protected override void EncodePlain(ReadOnlySpan<char> text, List<int> ids)
    {
        while (!text.IsEmpty)
        {
            int length = Gpt2PreTokenizer.GetWordLength(text);
            _encoder.EncodeWord(text[..length], ids);
            text = text[length..];
        }
    }

    private protected override ReadOnlyMemory<byte> GetPlainTokenBytes(int id) => _vocabulary[id];

    private protected override void SaveVocabulary(Action<string, Action<Stream>> write)
    {
        write(BytePairFiles.VocabularyName, stream => BytePairFiles.WriteVocabulary(_vocabulary, stream));
        write(BytePairFiles.MergesName, stream => BytePairFiles.WriteMerges(_vocabulary, stream));
    }
}
