using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Microsoft.ML.Leap;

/// <summary>Turns text into token ids and back. A model owns exactly one, and carries it in its files.</summary>
/// <remarks>Immutable and thread-safe. Made by <see cref="TokenizerOptions"/> when a trainer fits, or read by
/// <see cref="FromFolder"/>. Text travels as UTF-8: a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.</remarks>
public abstract class LeapTokenizer
{
    private readonly TokenizerSettings _settings;
    private readonly SpecialLiteralSet _literals;

    private protected LeapTokenizer(TokenizerSettings settings, int baseVocabularySize, SpecialLiteralSet literals)
    {
        _settings = settings;
        _literals = literals;
        VocabularySize = literals.ExtendVocabulary(baseVocabularySize);
        if ((uint)settings.EndOfTextId >= (uint)VocabularySize)
        {
            throw new ArgumentException(
                $"The end-of-text id {settings.EndOfTextId} is outside the vocabulary of {VocabularySize} ids.", nameof(settings));
        }
    }

    /// <summary>Gets the number of token ids; every id is at least 0 and below it.</summary>
    public int VocabularySize { get; }

    /// <summary>Gets the id of the token that ends a text: <c>&lt;|endoftext|&gt;</c>, or SentencePiece's <c>&lt;/s&gt;</c>.</summary>
    public int EndOfTextId => _settings.EndOfTextId;

    /// <summary>Gets the kind of tokenizer: <c>byte-level-bpe</c>, <c>sentencepiece</c>, <c>tiktoken</c> or <c>bytes</c>.</summary>
    public string Kind => _settings.Kind;

    /// <summary>Gets the texts that are one token wherever they stand, with their ids.</summary>
    public IReadOnlyDictionary<string, int> SpecialLiterals => _literals.Ids;

    /// <summary>Gets whether <see cref="EncodeDocument"/> ends every line with <see cref="EndOfTextId"/>.</summary>
    /// <value>Where <see langword="true"/>, a document already ends with an end token, and none is to be added between documents.</value>
    public bool EndTokenAfterEachLine => _settings.EndTokenAfterEachLine;

    /// <summary>Reads a tokenizer from a folder in the Hugging Face layout.</summary>
    /// <param name="folder">A folder with <c>spiece.model</c>, or <c>vocab.json</c> and <c>merges.txt</c>, or <c>encoder.json</c> and
    /// <c>vocab.bpe</c>, or whatever a model of this package saved.</param>
    /// <returns>The tokenizer.</returns>
    /// <remarks>Without settings of this package in <c>tokenizer_config.json</c>, GPT-2 files get <c>&lt;|endoftext|&gt;</c> as special
    /// literal, and T5's model gets <c>&lt;unk&gt;</c> and its 100 sentinels.</remarks>
    /// <exception cref="ArgumentNullException"><paramref name="folder"/> is <see langword="null"/>.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FormatException">A file is missing or damaged.</exception>
    public static LeapTokenizer FromFolder(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder '{folder}' to read a tokenizer from.");
        return Load(name => File.Exists(Path.Combine(folder, name)) ? OrdinaryFile.OpenRead(Path.Combine(folder, name)) : null);
    }

    /// <summary>Encodes a text. No end token is added.</summary>
    /// <param name="text">Any text; an empty one gives no ids.</param>
    /// <returns>The ids, each below <see cref="VocabularySize"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    public IReadOnlyList<int> Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        Encode(text, ids);
        return ids;
    }

    /// <summary>Encodes a text and appends its ids. No end token is added.</summary>
    /// <param name="text">Any text; an empty one gives no ids.</param>
    /// <param name="ids">Where the ids are appended.</param>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    public void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        while (_literals.TryFindNext(text, out int position, out int length, out int id))
        {
            if (position > 0)
                EncodePlain(text[..position], ids);
            ids.Add(id);
            text = text[(position + length)..];
        }

        if (!text.IsEmpty)
            EncodePlain(text, ids);
    }

    /// <summary>Encodes a text that a model is to learn from, and appends its ids.</summary>
    /// <param name="text">One document.</param>
    /// <param name="ids">Where the ids are appended.</param>
    /// <remarks>Without <see cref="EndTokenAfterEachLine"/> these are <see cref="Encode(ReadOnlySpan{char}, List{int})"/>'s ids, and the
    /// caller puts <see cref="EndOfTextId"/> between documents. With it, lines are encoded one by one, each followed by
    /// <see cref="EndOfTextId"/>, which stands for the line break (LF or CR LF); the caller then adds nothing. A break that ends the
    /// document starts no further line, and an empty document is one empty line, so there is always at least one end token.</remarks>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    public void EncodeDocument(ReadOnlySpan<char> text, List<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        if (!EndTokenAfterEachLine)
        {
            Encode(text, ids);
            return;
        }

        do
        {
            int lineBreak = text.IndexOf('\n');
            ReadOnlySpan<char> line = lineBreak < 0 ? text : text[..lineBreak];
            Encode(line.EndsWith('\r') && lineBreak >= 0 ? line[..^1] : line, ids);
            ids.Add(EndOfTextId);
            text = lineBreak < 0 ? [] : text[(lineBreak + 1)..];
        }
        while (!text.IsEmpty);
    }

    /// <summary>Encodes a document as a part of a stream of them, and appends its ids: <see cref="EncodeDocument"/>'s, and an end token unless
    /// they end with one. A document without ids gets none.</summary>
    internal void EncodeInStream(ReadOnlySpan<char> text, List<int> ids)
    {
        int start = ids.Count;
        EncodeDocument(text, ids);
        if (ids.Count > start && ids[^1] != EndOfTextId)
            ids.Add(EndOfTextId);
    }

    /// <summary>Puts the text of tokens together.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="skipEndOfText">Whether end-of-text tokens leave no trace (the default); otherwise their name is written.</param>
    /// <returns>The text: exactly the encoded one for bytes, byte-level BPE and tiktoken; normalised by the model for SentencePiece. Bytes
    /// that are not UTF-8, such as half a character, become U+FFFD.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public string Decode(IEnumerable<int> ids, bool skipEndOfText = true)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new ArrayBufferWriter<byte>();
        foreach (int id in ids)
        {
            if (id != EndOfTextId || !skipEndOfText)
                bytes.Write(GetTokenBytes(id).Span);
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan[LeadingBytesToDrop(bytes.WrittenSpan)..]);
    }

    /// <summary>Gets the UTF-8 bytes that a token stands for: a part of a character where one is split over tokens.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>The bytes; none for a token without text.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="id"/> is outside the vocabulary.</exception>
    public ReadOnlyMemory<byte> GetTokenBytes(int id)
    {
        if ((uint)id >= (uint)VocabularySize)
        {
            throw new ArgumentOutOfRangeException(
                nameof(id), id, $"id must be at least 0 and below the vocabulary's size, {VocabularySize}.");
        }
        return _literals.TryGetText(id, out string? literal) ? GetLiteralBytes(literal) : GetPlainTokenBytes(id);
    }

    /// <summary>Gets a token's text for display; bytes that are no whole characters are written as <c>&lt;0xE2&gt;</c>.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>The text, with its spaces.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="id"/> is outside the vocabulary.</exception>
    public string GetTokenText(int id)
    {
        ReadOnlySpan<byte> bytes = GetTokenBytes(id).Span;
        if (Utf8.IsValid(bytes))
            return Encoding.UTF8.GetString(bytes);

        var text = new StringBuilder();
        while (!bytes.IsEmpty)
        {
            bool whole = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == OperationStatus.Done;
            if (whole)
                text.Append(rune.ToString());
            else
                AppendHexadecimal(text, bytes[..length]);
            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>Finds which part of a text each of its tokens stands for.</summary>
    /// <param name="text">The text.</param>
    /// <param name="ids">The ids that <see cref="Encode(string)"/> gives it.</param>
    /// <returns>The first place and the length of each token's part, in UTF-16 units, in order and without overlaps. A character that several
    /// tokens share belongs to the one that begins it. Where the tokenizer changes a text, as SentencePiece does, of a run of tokens that do not
    /// occur literally the first gets all that lies between.</returns>
    /// <exception cref="ArgumentNullException">An argument is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public IReadOnlyList<(int Start, int Length)> FindSpans(string text, IReadOnlyList<int> ids)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(ids);
        return TokenSpans.Find(this, text, ids);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Kind} tokenizer with {VocabularySize} ids";

    /// <summary>Writes the tokenizer's files; <see cref="Load"/> restores exactly this tokenizer from them.</summary>
    internal void Save(Action<string, Action<Stream>> write)
    {
        write(TokenizerSettings.FileName, stream => _settings.Write(stream, GetTokenText(EndOfTextId)));
        SaveVocabulary(write);
    }

    /// <summary>Writes, besides the files of <see cref="Save"/>, the one that tokenizers of Hugging Face read, where it can hold this tokenizer.
    /// </summary>
    internal void SaveForOthers(Action<string, Action<Stream>> write)
    {
        if (GetBytePairs() is (BytePairVocabulary vocabulary, bool cutsWords) && TokenizerJson.CanHold(vocabulary, SpecialLiterals))
            write(ModelFileNames.TokenizerJson, stream => TokenizerJson.Write(stream, vocabulary, SpecialLiterals, cutsWords));
    }

    /// <summary>Reads a tokenizer; <paramref name="open"/> gives <see langword="null"/> for a file that is not there.</summary>
    internal static LeapTokenizer Load(Func<string, Stream?> open) => TokenizerLoader.Load(open);

    /// <summary>Encodes a text without special literals, which is never empty.</summary>
    private protected abstract void EncodePlain(ReadOnlySpan<char> text, List<int> ids);

    private protected abstract ReadOnlyMemory<byte> GetPlainTokenBytes(int id);

    private protected abstract void SaveVocabulary(Action<string, Action<Stream>> write);

    /// <summary>Gets the merges that this tokenizer consists of, and whether they keep within GPT-2's words; <see langword="null"/> where it
    /// is of another kind.</summary>
    private protected virtual (BytePairVocabulary Vocabulary, bool CutsWords)? GetBytePairs() => null;

    private protected virtual ReadOnlyMemory<byte> GetLiteralBytes(string literal) => Encoding.UTF8.GetBytes(literal);

    private protected virtual int LeadingBytesToDrop(ReadOnlySpan<byte> decoded) => 0;

    /// <summary>Gives the bytes that a text's first tokens have too many.</summary>
    internal int CountLeadingBytesToDrop(ReadOnlySpan<byte> decoded) => LeadingBytesToDrop(decoded);

    private static void AppendHexadecimal(StringBuilder text, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
            text.Append("<0x").Append(value.ToString("X2", System.Globalization.CultureInfo.InvariantCulture)).Append('>');
    }
}
