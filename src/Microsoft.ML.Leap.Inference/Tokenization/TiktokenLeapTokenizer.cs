using System.Buffers.Text;
using System.Globalization;
using System.IO.Compression;
using System.Reflection;
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
        int most = tokenizer.SpecialTokens!.Values.Min();
        if (tokens.Length > most)
            throw new FormatException($"The tiktoken data {encoding.FileName} has {tokens.Length} tokens, but its special tokens start at {most}.");

        var literals = new Dictionary<string, int>(specialLiterals, StringComparer.Ordinal);
        foreach ((string text, int id) in tokenizer.SpecialTokens)
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

        // Any text can be written where every byte is a token.
        bool[] bytes = new bool[256];
        foreach (byte[] token in tokens)
        {
            if (token.Length == 1)
                bytes[token[0]] = true;
        }

        int missing = Array.IndexOf(bytes, false);
        return missing < 0 ? [.. tokens] : throw new FormatException($"The tiktoken data has no token for the byte 0x{missing:X2}; it needs all 256.");
    }
}

/// <summary>A tiktoken encoding that a data package of Microsoft.ML.Tokenizers brings.</summary>
internal sealed record TiktokenEncoding(string Name, string PackageName, string ModelName)
{
    private static readonly TiktokenEncoding[] Known =
    [
        new("o200k_base", "Microsoft.ML.Tokenizers.Data.O200kBase", "gpt-4o"),
        new("cl100k_base", "Microsoft.ML.Tokenizers.Data.Cl100kBase", "gpt-4"),
    ];

    public string FileName => Name + ".tiktoken";

    public static string KnownNames => string.Join(", ", Known.Select(e => e.Name));

    public static TiktokenEncoding? Find(string? name) => Array.Find(Known, e => e.Name == name);

    /// <summary>Finds the data package's assembly; <see langword="null"/> where the application does not have it.</summary>
    public Assembly? FindData()
    {
        try
        {
            return Assembly.Load(PackageName);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Reads the ranks from the data package, in the usual format: a line per token, its bytes in base 64, a space, its rank.
    /// </summary>
    public byte[] ReadData()
    {
        Assembly data = FindData() ?? throw MissingPackage();
        using Stream compressed = data.GetManifestResourceStream(FileName + ".deflate")
            ?? throw new InvalidOperationException(
                $"The package {PackageName} does not hold {FileName}; use a version that goes with Microsoft.ML.Tokenizers.");
        using var tokens = new StreamReader(new DeflateStream(compressed, CompressionMode.Decompress));

        // The package leaves the ranks out, since they count the lines, and tells their number first.
        var ranks = new StringBuilder();
        int rank = 0;
        while (tokens.ReadLine() is { } token)
        {
            if (!token.StartsWith("Capacity:", StringComparison.Ordinal))
                ranks.Append(token).Append(' ').Append(rank++).Append('\n');
        }

        return Encoding.ASCII.GetBytes(ranks.ToString());
    }

    public InvalidOperationException MissingPackage() =>
        new($"The tiktoken encoding {Name} needs its data: add the package {PackageName} to the application " +
            $"(dotnet add package {PackageName}).");
}
