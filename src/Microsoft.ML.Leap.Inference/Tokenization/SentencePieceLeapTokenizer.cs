using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Microsoft.ML.Leap;

/// <summary>A SentencePiece model, T5's included. Its ids are SentencePiece's own; special literals never reach it.</summary>
internal sealed class SentencePieceLeapTokenizer : LeapTokenizer
{
    public const string ModelName = "spiece.model";
    public const int MaximumSentinelCount = 100_000;
    private const int T5SentinelCount = 100;

    // What the rules named nmt_... drop. The tokenizer beneath keeps a character that a rule maps to nothing.
    private static readonly SearchValues<char> DroppedCharacters = SearchValues.Create(
        [.. Enumerable.Range(1, 0x1F).Append(0x7F).Append(0x8F).Append(0x9F).Select(c => (char)c).Except(['\t', '\n', '\f', '\r'])]);

    private readonly byte[] _file;
    private readonly SentencePieceModel _model;
    private readonly SentencePieceTokenizer _tokenizer;
    private readonly UnigramEncoder? _unigrams;

    private SentencePieceLeapTokenizer(TokenizerSettings settings, byte[] file, SentencePieceModel model)
        : base(settings, model.Count + settings.SentinelCount, new SpecialLiteralSet(AddSentinels(settings, model.Count)))
    {
        _file = file;
        _model = model;
        _tokenizer = CreateTokenizer(file, model);
        _unigrams = model.IsUnigram && !model.FallsBackToBytes ? new UnigramEncoder(model) : null;
    }

    /// <summary>Makes the tokenizer; what is <see langword="null"/> follows from whether the model is T5's.</summary>
    public static SentencePieceLeapTokenizer Create(
        byte[] file, IReadOnlyDictionary<string, int>? specialLiterals, bool endTokenAfterEachLine, int? sentinelCount)
    {
        SentencePieceModel model = SentencePieceModel.Read(file);
        int sentinels = sentinelCount ?? (model.IsT5 ? T5SentinelCount : 0);
        if (sentinels is < 0 or > MaximumSentinelCount)
        {
            throw new FormatException(
                $"The tokenizer's sentinel count must be at least 0 and at most {MaximumSentinelCount}, but is {sentinels}.");
        }

        var settings = new TokenizerSettings(TokenizerSettings.SentencePiece, model.EndId)
        {
            SpecialLiterals = specialLiterals ?? GetDefaultLiterals(model),
            EndTokenAfterEachLine = endTokenAfterEachLine,
            SentinelCount = sentinels,
        };
        return new SentencePieceLeapTokenizer(settings, file, model);
    }

    private protected override void EncodePlain(ReadOnlySpan<char> text, List<int> ids)
    {
        if (_model.NormalizationName.StartsWith("nmt_", StringComparison.Ordinal) && text.ContainsAny(DroppedCharacters))
            text = string.Concat(text.ToString().Where(c => !DroppedCharacters.Contains(c)));

        // SentencePiece gives one unknown id for a run of unknown characters; the tokenizer beneath gives one for each.
        int previous = -1;
        foreach (int id in Split(text))
        {
            if (id != _model.UnknownId || previous != id)
                ids.Add(id);
            previous = id;
        }
    }

    // The tokenizer beneath normalises and splits; what it split into is the normalised text, which is split again as SentencePiece does.
    private IEnumerable<int> Split(ReadOnlySpan<char> text)
    {
        IReadOnlyList<int> ids = _tokenizer.EncodeToIds(text, addBeginningOfSentence: false, addEndOfSentence: false);
        if (_unigrams is null)
            return ids;

        var normalized = new StringBuilder(text.Length + 1);
        foreach (int id in ids)
        {
            if (id == _model.UnknownId)
                normalized.Append(UnigramEncoder.NoPiece);
            else
                normalized.Append(_model.Pieces[id].Text);
        }

        return _unigrams.Encode(normalized.ToString());
    }

    private protected override ReadOnlyMemory<byte> GetPlainTokenBytes(int id) => id < _model.Count ? _model.GetBytes(id) : default;

    private protected override void SaveVocabulary(Action<string, Action<Stream>> write) => write(ModelName, stream => stream.Write(_file));

    // SentencePiece drops the spaces around a literal; a word that follows one brings its own, so the literal brings one too.
    private protected override ReadOnlyMemory<byte> GetLiteralBytes(string literal) => Encoding.UTF8.GetBytes(' ' + literal);

    private protected override int LeadingBytesToDrop(ReadOnlySpan<byte> decoded) =>
        _tokenizer.AddDummyPrefix && decoded.StartsWith((byte)' ') ? 1 : 0;

    private static Dictionary<string, int> GetDefaultLiterals(SentencePieceModel model) =>
        model.IsT5 ? new Dictionary<string, int> { ["<unk>"] = model.UnknownId } : [];

    private static Dictionary<string, int> AddSentinels(TokenizerSettings settings, int pieceCount)
    {
        var literals = new Dictionary<string, int>(settings.SpecialLiterals, StringComparer.Ordinal);
        for (int i = 0; i < settings.SentinelCount; i++)
            literals.TryAdd(string.Create(CultureInfo.InvariantCulture, $"<extra_id_{i}>"), pieceCount + settings.SentinelCount - 1 - i);
        return literals;
    }

    private static SentencePieceTokenizer CreateTokenizer(byte[] file, SentencePieceModel model)
    {
        try
        {
            using var stream = new MemoryStream(model.BeginningId < 0 ? [.. file, .. SetBeginningId(model.EndId)] : file);
            return SentencePieceTokenizer.Create(stream, addBeginningOfSentence: false, addEndOfSentence: false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new FormatException($"The SentencePiece model cannot be read: {e.Message}", e);
        }
    }

    // The tokenizer beneath fails on a model without a beginning piece. Messages in this format merge by concatenation: a second
    // trainer_spec (field 2) that holds bos_id (field 41) alone overrides that one value. The id is never used.
    private static byte[] SetBeginningId(int id)
    {
        var value = new List<byte>();
        for (; id >= 0x80; id >>= 7)
            value.Add((byte)(id | 0x80));
        value.Add((byte)id);
        return [(2 << 3) | 2, (byte)(2 + value.Count), 0xC8, 0x02, .. CollectionsMarshal.AsSpan(value)];
    }
}
