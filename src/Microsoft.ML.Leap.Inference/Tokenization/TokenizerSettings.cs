using System.Buffers;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Leap;

/// <summary>What a tokenizer is besides its vocabulary: the section "leap" of tokenizer_config.json, which other readers ignore.</summary>
internal sealed record TokenizerSettings(string Kind, int EndOfTextId)
{
    public const string FileName = "tokenizer_config.json";
    public const string ByteLevelBpe = "byte-level-bpe";
    public const string SentencePiece = "sentencepiece";
    public const string Tiktoken = "tiktoken";
    public const string Bytes = "bytes";

    private const string Section = "leap";

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    // Made anew each time: who only reads does not bring in the encoder's assembly.
    private static JsonWriterOptions WriterOptions => new()
    {
        Indented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public IReadOnlyDictionary<string, int> SpecialLiterals { get; init; } = ReadOnlyDictionary<string, int>.Empty;

    public bool EndTokenAfterEachLine { get; init; }

    /// <summary>T5's sentinels: ids after the pieces, numbered from the end.</summary>
    public int SentinelCount { get; init; }

    /// <summary>The name of the tiktoken encoding.</summary>
    public string? EncodingName { get; init; }

    public void Write(Stream stream, string endOfText)
    {
        var root = new JsonObject { ["eos_token"] = endOfText };
        if (Kind == ByteLevelBpe)
        {
            root["tokenizer_class"] = "GPT2Tokenizer";
            root["bos_token"] = endOfText;
            root["unk_token"] = endOfText;
            root["added_tokens_decoder"] = DescribeLiterals();
            root["add_prefix_space"] = false;
            root["clean_up_tokenization_spaces"] = false;
        }
        else if (Kind == SentencePiece)
        {
            root["tokenizer_class"] = "T5Tokenizer";
            root["extra_ids"] = SentinelCount;
        }

        else if (Kind == Bytes)
        {
            root["tokenizer_class"] = "PreTrainedTokenizerFast";
            root["clean_up_tokenization_spaces"] = false;
        }

        root[Section] = new JsonObject
        {
            ["kind"] = Kind,
            ["end_of_text_id"] = EndOfTextId,
            ["end_token_after_each_line"] = EndTokenAfterEachLine,
            ["sentinel_count"] = SentinelCount,
            ["encoding_name"] = EncodingName,
            ["special_literals"] = new JsonObject(SortedLiterals().Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value))),
        };

        using var writer = new Utf8JsonWriter(stream, WriterOptions);
        root.WriteTo(writer);
    }

    /// <summary>Reads this package's section; <see langword="null"/> where another program wrote the file.</summary>
    public static TokenizerSettings? Read(byte[] file)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(file, Strict);
            return document.RootElement.TryGetProperty(Section, out JsonElement section) && section.ValueKind == JsonValueKind.Object
                ? ReadSection(section)
                : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FormatException($"{FileName} is damaged: {e.Message}", e);
        }
    }

    private static TokenizerSettings ReadSection(JsonElement section)
    {
        var literals = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonProperty literal in Require(section, "special_literals").EnumerateObject())
            literals.Add(literal.Name, ToInteger(literal.Value, literal.Name));

        return new TokenizerSettings(Require(section, "kind").GetString()!, ToInteger(Require(section, "end_of_text_id"), "end_of_text_id"))
        {
            EndTokenAfterEachLine = Require(section, "end_token_after_each_line").GetBoolean(),
            SentinelCount = ToInteger(Require(section, "sentinel_count"), "sentinel_count"),
            EncodingName = section.TryGetProperty("encoding_name", out JsonElement name) ? name.GetString() : null,
            SpecialLiterals = literals,
        };
    }

    // A null counts as missing.
    private static JsonElement Require(JsonElement section, string name) =>
        section.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? value
            : throw new FormatException($"{FileName} is damaged: its section '{Section}' lacks '{name}'.");

    private static int ToInteger(JsonElement value, string name) => value.TryGetInt32(out int number)
        ? number
        : throw new FormatException($"{FileName} is damaged: '{name}' must be a whole number of 32 bits, but is {value.GetRawText()}.");

    private IEnumerable<KeyValuePair<string, int>> SortedLiterals() =>
        SpecialLiterals.OrderBy(p => p.Value).ThenBy(p => p.Key, StringComparer.Ordinal);

    private JsonObject DescribeLiterals()
    {
        var tokens = new JsonObject();
        foreach ((string text, int id) in SortedLiterals().DistinctBy(p => p.Value))
        {
            tokens[id.ToString(System.Globalization.CultureInfo.InvariantCulture)] = new JsonObject
            {
                ["content"] = text,
                ["lstrip"] = false,
                ["normalized"] = false,
                ["rstrip"] = false,
                ["single_word"] = false,
                ["special"] = true,
            };
        }

        return tokens;
    }
}

/// <summary>Texts that are one token wherever they stand. Of several that match at a place the longest wins.</summary>
internal sealed class SpecialLiteralSet
{
    private readonly SearchValues<string> _search;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;
    private readonly int[] _lengths;
    private readonly Dictionary<int, string> _texts = [];

    public SpecialLiteralSet(IReadOnlyDictionary<string, int> ids)
    {
        Ids = ids;
        string[] longestFirst = new string[ids.Count];
        var copy = new Dictionary<string, int>(ids.Count, StringComparer.Ordinal);
        var lengths = new HashSet<int>();
        foreach ((string text, int id) in ids)
        {
            if (text.Length == 0)
                throw new ArgumentException("A special literal must not be empty.", nameof(ids));
            longestFirst[copy.Count] = text;
            copy.Add(text, id);
            lengths.Add(text.Length);
        }

        _ids = copy.GetAlternateLookup<ReadOnlySpan<char>>();
        _search = SearchValues.Create(longestFirst, StringComparison.Ordinal);
        _lengths = new int[lengths.Count];
        lengths.CopyTo(_lengths);
        Array.Sort(_lengths, (left, right) => right.CompareTo(left));
        Array.Sort(longestFirst, (left, right) =>
            left.Length != right.Length ? right.Length.CompareTo(left.Length) : string.CompareOrdinal(left, right));
        foreach (string text in longestFirst)
            _texts.TryAdd(ids[text], text);
    }

    public IReadOnlyDictionary<string, int> Ids { get; }

    public bool TryGetText(int id, [NotNullWhen(true)] out string? text) => _texts.TryGetValue(id, out text);

    public bool TryFindNext(ReadOnlySpan<char> text, out int position, out int length, out int id)
    {
        (position, length, id) = (-1, 0, 0);
        if (_lengths.Length == 0 || (position = text.IndexOfAny(_search)) < 0)
            return false;

        // By length, so that the cost does not grow with the number of literals.
        text = text[position..];
        foreach (int candidate in _lengths)
        {
            if (candidate > text.Length || !_ids.TryGetValue(text[..candidate], out id))
                continue;
            length = candidate;
            return true;
        }

        throw new InvalidOperationException("A search for special literals found none of them.");
    }

    /// <summary>Adds the ids beyond a vocabulary, which must follow it without a gap.</summary>
    public int ExtendVocabulary(int size)
    {
        int[] ids = new int[_texts.Count];
        _texts.Keys.CopyTo(ids, 0);
        Array.Sort(ids);
        foreach (int id in ids)
        {
            if (id < 0 || id > size)
            {
                throw new ArgumentException(
                    $"The special literal '{_texts[id]}' has the id {id}; expected an id of the vocabulary, or the next new one, {size}.");
            }

            size = Math.Max(size, id + 1);
        }

        return size;
    }
}
