using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microsoft.ML.Leap;

/// <summary>The file tokenizer.json, from which the tokenizers of Hugging Face, in Python, Rust and JavaScript, make a byte-level BPE. This
/// package writes it into folders, and reads its own files instead.</summary>
internal static class TokenizerJson
{
    // GPT-2's words. White space by its name in Unicode, because \s is not the same set in all of the languages.
    private const string Words =
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+";

    /// <summary>Writes the file.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="vocabulary">The tokens and merges.</param>
    /// <param name="literals">The special literals; <see cref="CanHold"/> says whether the file can hold them.</param>
    /// <param name="cutsWords">Whether merges keep within GPT-2's words.</param>
    public static void Write(Stream stream, BytePairVocabulary vocabulary, IReadOnlyDictionary<string, int> literals, bool cutsWords)
    {
        KeyValuePair<string, int>[] sorted = [.. literals.OrderBy(p => p.Value).ThenBy(p => p.Key, StringComparer.Ordinal)];
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartObject();
        writer.WriteString("version", "1.0");
        writer.WriteNull("truncation");
        writer.WriteNull("padding");
        WriteLiterals(writer, sorted);
        writer.WriteNull("normalizer");
        WritePreTokenizer(writer, cutsWords);
        writer.WriteNull("post_processor");
        writer.WriteStartObject("decoder");
        WriteByteLevel(writer);
        writer.WriteEndObject();
        WriteModel(writer, vocabulary, sorted);
        writer.WriteEndObject();
    }

    /// <summary>Gets whether the file can hold these literals: it names tokens by their texts, so that a literal with the text of another
    /// token would take that token's id.</summary>
    public static bool CanHold(BytePairVocabulary vocabulary, IReadOnlyDictionary<string, int> literals)
    {
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (literals.TryGetValue(vocabulary.GetName(id), out int literal) && literal != id)
                return false;
        }

        return true;
    }

    private static void WriteLiterals(Utf8JsonWriter writer, KeyValuePair<string, int>[] literals)
    {
        writer.WriteStartArray("added_tokens");
        foreach ((string text, int id) in literals)
        {
            writer.WriteStartObject();
            writer.WriteNumber("id", id);
            writer.WriteString("content", text);
            writer.WriteBoolean("single_word", false);
            writer.WriteBoolean("lstrip", false);
            writer.WriteBoolean("rstrip", false);
            writer.WriteBoolean("normalized", false);
            writer.WriteBoolean("special", true);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WritePreTokenizer(Utf8JsonWriter writer, bool cutsWords)
    {
        writer.WriteStartObject("pre_tokenizer");
        if (cutsWords)
        {
            writer.WriteString("type", "Sequence");
            writer.WriteStartArray("pretokenizers");
            writer.WriteStartObject();
            writer.WriteString("type", "Split");
            writer.WriteStartObject("pattern");
            writer.WriteString("Regex", Words);
            writer.WriteEndObject();
            writer.WriteString("behavior", "Isolated");
            writer.WriteBoolean("invert", false);
            writer.WriteEndObject();
            writer.WriteStartObject();
            WriteByteLevel(writer);
            writer.WriteEndObject();
            writer.WriteEndArray();
        }
        else
        {
            WriteByteLevel(writer);
        }

        writer.WriteEndObject();
    }

    private static void WriteByteLevel(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "ByteLevel");
        writer.WriteBoolean("add_prefix_space", false);
        writer.WriteBoolean("trim_offsets", false);
        writer.WriteBoolean("use_regex", false);
    }

    private static void WriteModel(Utf8JsonWriter writer, BytePairVocabulary vocabulary, KeyValuePair<string, int>[] literals)
    {
        writer.WriteStartObject("model");
        writer.WriteString("type", "BPE");
        writer.WriteNull("dropout");
        writer.WriteNull("unk_token");
        writer.WriteNull("continuing_subword_prefix");
        writer.WriteNull("end_of_word_suffix");
        writer.WriteBoolean("fuse_unk", false);
        writer.WriteBoolean("byte_fallback", false);
        writer.WriteBoolean("ignore_merges", false);

        // Literals too: readers number what the vocabulary lacks by themselves.
        writer.WriteStartObject("vocab");
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int id = 0; id < vocabulary.Count; id++)
        {
            names.Add(vocabulary.GetName(id));
            writer.WriteNumber(vocabulary.GetName(id), id);
        }

        foreach ((string text, int id) in literals.Where(literal => !names.Contains(literal.Key)))
            writer.WriteNumber(text, id);
        writer.WriteEndObject();

        // Of a pair that stands twice the first counts, and in other readers the last.
        writer.WriteStartArray("merges");
        foreach (BytePairMerge merge in vocabulary.Merges.DistinctBy(merge => (merge.Left, merge.Right)))
            writer.WriteStringValue($"{vocabulary.GetName(merge.Left)} {vocabulary.GetName(merge.Right)}");
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
