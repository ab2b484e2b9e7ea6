using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Leap;

/// <summary>A tiktoken encoding. Its rank data goes into the model, so that a process without the data package can load it.</summary>
/// <remarks>The encoding's special tokens, such as <c>&lt;|endoftext|&gt;</c>, are recognised in any text.</remarks>
internal sealed class TiktokenLeapTokenizer : LeapTokenizer
{
    private readonly TiktokenEncoding _encoding;
    private readonly byte[] _file;
    private readonly byte[][] _tokens;
    private readonly TiktokenTokenizer _tokenizer;

    private TiktokenLeapTokenizer(
        TokenizerSettings settings, TiktokenEncoding encoding, byte[] file, byte[][] tokens, TiktokenTokenizer tokenizer)
        : base(settings, tokenizer.SpecialTokens!.Values.Max() + 1, new SpecialLiteralSet(settings.SpecialLiterals))
    {
        _encoding = encoding;
        _file = file;
        _tokens = tokens;
        _tokenizer = tokenizer;
    }

    public static TiktokenLeapTokenizer Create(
        TiktokenEncoding encoding, byte[] file, IReadOnlyDictionary<string, int> specialLiterals, bool endTokenAfterEachLine)
    {
        byte[][] tokens = ReadRanks(file);
        TiktokenTokenizer tokenizer = CreateTokenizer(encoding, file);
        var literals = new Dictionary<string, int>(specialLiterals, StringComparer.Ordinal);
        foreach ((string text, int id) in tokenizer.SpecialTokens!)
            literals[text] = id;

        var settings = new TokenizerSettings(TokenizerSettings.Tiktoken, literals[BytePairVocabulary.EndOfText])
        {
            SpecialLiterals = literals,
            EndTokenAfterEachLine = endTokenAfterEachLine,
            EncodingName = encoding.Name,
        };
        return new TiktokenLeapTokenizer(settings, encoding, file, tokens, tokenizer);
    }

    private protected override void EncodePlain(ReadOnlySpan<char> text, List<int> ids) => ids.AddRange(_tokenizer.EncodeToIds(text));

    private protected override ReadOnlyMemory<byte> GetPlainTokenBytes(int id) => id < _tokens.Length ? _tokens[id] : default;

    private protected override void SaveVocabulary(Action<string, Action<Stream>> write) =>
        write(_encoding.FileName, stream => stream.Write(_file));

    private static TiktokenTokenizer CreateTokenizer(TiktokenEncoding encoding, byte[] file)
    {
        try
        {
            using var stream = new MemoryStream(file);
            return TiktokenTokenizer.CreateForModel(encoding.ModelName, stream);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new FormatException($"The tiktoken data {encoding.FileName} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads a token a line: its bytes in base 64, a space, its rank.</summary>
    private static byte[][] ReadRanks(byte[] file)
    {
        var tokens = new List<byte[]>();
        using var reader = new StreamReader(new MemoryStream(file), Encoding.ASCII);
        int number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            int space = line.IndexOf(' ');
            bool valid = space > 0 && Base64.IsValid(line.AsSpan(0, space))
                && int.TryParse(line.AsSpan(space + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
                && rank == tokens.Count;
            if (!valid)
                throw new FormatException($"Line {number} of the tiktoken data must hold a token in base 64 and its rank, {tokens.Count}.");
            tokens.Add(Convert.FromBase64String(line[..space]));
        }

        return tokens.Count > 0 ? [.. tokens] : throw new FormatException("The tiktoken data holds no tokens.");
    }
}
