using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>The files of a byte-level BPE: vocab.json (token to id) and merges.txt (a pair a line, after a version line).</summary>
internal static class BytePairFiles
{
    public const string VocabularyName = "vocab.json";
    public const string MergesName = "merges.txt";

    // About, so that a dictionary of the tokens need not grow.
    private const int BytesPerToken = 12;

    private const string VersionLine = "#version: 0.2";

    // Made anew each time: who only reads does not bring in the encoder's assembly.
    private static JsonWriterOptions WriterOptions => new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static BytePairVocabulary Read(byte[] vocabularyFile, byte[] mergesFile, int? endOfTextId)
    {
        Dictionary<string, int> ids = ReadIds(vocabularyFile);
        byte[][] tokens = OrderTokens(ids);
        BytePairMerge[] merges = ReadMerges(mergesFile, ids);
        int end = endOfTextId ?? FindEndOfText(ids);
        if ((uint)end >= (uint)tokens.Length)
            throw new FormatException($"The end-of-text id {end} is outside the vocabulary of {tokens.Length} tokens.");
        return new BytePairVocabulary(tokens, merges, end);
    }

    public static void WriteVocabulary(BytePairVocabulary vocabulary, Stream stream)
    {
        using var writer = new Utf8JsonWriter(stream, WriterOptions);
        writer.WriteStartObject();
        for (int id = 0; id < vocabulary.Count; id++)
            writer.WriteNumber(vocabulary.GetName(id), id);
        writer.WriteEndObject();
    }

    public static void WriteMerges(BytePairVocabulary vocabulary, Stream stream)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(VersionLine);
        foreach (BytePairMerge merge in vocabulary.Merges)
            writer.WriteLine($"{vocabulary.GetName(merge.Left)} {vocabulary.GetName(merge.Right)}");
    }

    private static Dictionary<string, int> ReadIds(byte[] file)
    {
        try
        {
            // Token by token: a document of all takes as long again where code is interpreted.
            var reader = new Utf8JsonReader(file);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
                throw new FormatException("The vocabulary file is no JSON object of tokens and ids.");
            var ids = new Dictionary<string, int>(file.Length / BytesPerToken, StringComparer.Ordinal);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                reader.Read();
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int id))
                {
                    using JsonDocument value = JsonDocument.ParseValue(ref reader);
                    throw new FormatException(
                        $"The vocabulary's token '{name}' must have a whole number as its id, but has {value.RootElement.GetRawText()}.");
                }

                ids[name] = id;
            }

            // Throws where anything follows the object.
            reader.Read();
            return ids;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // A name that is no valid Unicode is reported as an invalid operation.
            throw new FormatException($"The vocabulary file is no JSON object of tokens and ids: {e.Message}", e);
        }
    }

    private static byte[][] OrderTokens(Dictionary<string, int> ids)
    {
        byte[]?[] tokens = new byte[]?[ids.Count];
        foreach ((string name, int id) in ids)
        {
            if ((uint)id >= (uint)tokens.Length || tokens[id] is not null)
            {
                throw new FormatException(
                    $"The vocabulary's token '{name}' has the id {id}; {tokens.Length} tokens need the ids below that, once each.");
            }
            tokens[id] = ByteLevelAlphabet.TryRead(name, out byte[] bytes) ? bytes
                : throw new FormatException($"The vocabulary's token '{name}' holds characters that no byte is written as.");
        }

        return tokens!;
    }

    private static int FindEndOfText(Dictionary<string, int> ids) =>
        ids.TryGetValue(BytePairVocabulary.EndOfText, out int id) ? id
            : throw new FormatException($"The vocabulary has no token '{BytePairVocabulary.EndOfText}' to end a text with.");

    private static BytePairMerge[] ReadMerges(byte[] file, Dictionary<string, int> ids)
    {
        var merges = new List<BytePairMerge>(ids.Count);
        using var reader = new StreamReader(new MemoryStream(file), Encoding.UTF8);
        int number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            bool isVersion = number == 1 && line.StartsWith("#version", StringComparison.Ordinal);
            if (line.Length > 0 && !isVersion)
                merges.Add(ReadMerge(line, number, ids));
        }

        return [.. merges];
    }

    private static BytePairMerge ReadMerge(ReadOnlySpan<char> line, int number, Dictionary<string, int> ids)
    {
        int space = line.IndexOf(' ');
        if (space < 0 || line[(space + 1)..].Contains(' '))
        {
            throw new FormatException(
                $"Line {number} of the merges must hold two tokens and a space between them, but is '{Shorten(line)}'.");
        }

        // Without a string per token: there are thousands of lines.
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        Span<char> whole = line.Length <= 256 ? stackalloc char[256] : new char[line.Length];
        line[..space].CopyTo(whole);
        line[(space + 1)..].CopyTo(whole[space..]);
        if (lookup.TryGetValue(line[..space], out int leftId) && lookup.TryGetValue(line[(space + 1)..], out int rightId)
            && lookup.TryGetValue(whole[..(line.Length - 1)], out int id))
            return new BytePairMerge(leftId, rightId, id);
        throw new FormatException($"Line {number} of the merges, '{Shorten(line)}', names a token that the vocabulary lacks.");
    }

    private static string Shorten(ReadOnlySpan<char> line) => line.Length <= 80 ? line.ToString() : $"{line[..80]}...";
}

/// <summary>GPT-2's way to write bytes as visible characters: printable Latin-1 stands for itself, the others for U+0100 onwards.</summary>
internal static class ByteLevelAlphabet
{
    private static readonly char[] Characters = BuildCharacters();

    // Of each character the byte that it stands for, or -1.
    private static readonly int[] Bytes = BuildBytes();

    public static string Write(ReadOnlySpan<byte> bytes)
    {
        char[] text = new char[bytes.Length];
        for (int i = 0; i < text.Length; i++)
            text[i] = Characters[bytes[i]];
        return new string(text);
    }

    public static bool TryRead(ReadOnlySpan<char> text, out byte[] bytes)
    {
        bytes = new byte[text.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            int value = text[i] < Bytes.Length ? Bytes[text[i]] : -1;
            if (value < 0)
                return false;
            bytes[i] = (byte)value;
        }

        return true;
    }

    private static char[] BuildCharacters()
    {
        char[] characters = new char[256];
        int next = 256;
        for (int value = 0; value < 256; value++)
        {
            bool visible = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE and <= 0xFF;
            characters[value] = (char)(visible ? value : next++);
        }

        return characters;
    }

    private static int[] BuildBytes()
    {
        int[] bytes = new int[2 * Characters.Length];
        for (int character = 0; character < bytes.Length; character++)
            bytes[character] = Array.IndexOf(Characters, (char)character);
        return bytes;
    }
}
