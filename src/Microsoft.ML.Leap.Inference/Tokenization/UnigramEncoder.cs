using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Splits normalised text by a unigram model: into the pieces whose scores add up to the most.</summary>
/// <remarks>To the last bit as SentencePiece does, which adds in double precision, compares, and keeps the sum in single precision. Among
/// ways whose sums are almost the same, that rounding decides: "----" is "---" and "-", and not the reverse. Thread-safe.</remarks>
internal sealed class UnigramEncoder
{
    /// <summary>Stands for a character without a piece: half of a surrogate pair, which no piece holds.</summary>
    public const char NoPiece = '\uD800';

    private const float UnknownPenalty = 10;

    // A tree of the pieces: of a node and a character the next node, and of a node the piece that ends there, or -1.
    private readonly Dictionary<long, int> _next = [];
    private readonly List<int> _pieceAt = [-1];

    private readonly double[] _scores;
    private readonly float _unknownScore;
    private readonly int _unknownId;

    public UnigramEncoder(SentencePieceModel model)
    {
        _unknownId = model.UnknownId;
        _scores = new double[model.Count];
        float lowest = float.MaxValue;

        // SentencePiece's start, from which scores below 0 never move it.
        float highest = 1.17549435E-38f;
        foreach (SentencePiece piece in model.Pieces.Where(piece => piece.Type == SentencePiece.Normal))
            (lowest, highest) = (Math.Min(lowest, piece.Score), Math.Max(highest, piece.Score));
        _unknownScore = lowest - UnknownPenalty;

        for (int id = 0; id < model.Count; id++)
        {
            SentencePiece piece = model.Pieces[id];
            if (piece.Type is not (SentencePiece.Normal or SentencePiece.UserDefined))
                continue;
            _scores[id] = piece.Type == SentencePiece.Normal ? piece.Score : (Encoding.UTF8.GetByteCount(piece.Text) * highest) - 0.1;
            AddToTree(piece.Text, id);
        }
    }

    /// <summary>Gives the ids of a text's pieces, an unknown one for each character without a piece.</summary>
    public IEnumerable<int> Encode(string text)
    {
        Step[] best = FindBest(text);
        var ids = new Stack<int>();
        for (int end = text.Length; end > 0; end -= best[end].Length)
            ids.Push(best[end].Id);
        return ids;
    }

    // For each place in the text the last step of the best way to it.
    private Step[] FindBest(string text)
    {
        var best = new Step[text.Length + 1];
        int width;
        for (int start = 0; start < text.Length; start += width)
        {
            width = char.IsSurrogatePair(text, start) ? 2 : 1;
            float before = best[start].Score;
            bool isKnown = false;
            int node = 0;
            for (int end = start; end < text.Length && _next.TryGetValue(Key(node, text[end]), out node);)
            {
                end++;
                int id = _pieceAt[node];
                if (id < 0)
                    continue;
                Improve(ref best[end], end - start, id, _scores[id] + before);
                isKnown |= end - start == width;
            }

            if (!isKnown)
                Improve(ref best[start + width], width, _unknownId, _unknownScore + before);
        }

        return best;
    }

    private static void Improve(ref Step step, int length, int id, double score)
    {
        if (step.Length == 0 || score > step.Score)
            step = new Step(length, id, (float)score);
    }

    private void AddToTree(string text, int id)
    {
        int node = 0;
        foreach (char c in text)
        {
            if (!_next.TryGetValue(Key(node, c), out int next))
            {
                next = _pieceAt.Count;
                _pieceAt.Add(-1);
                _next.Add(Key(node, c), next);
            }

            node = next;
        }

        _pieceAt[node] = id;
    }

    private static long Key(int node, char next) => ((long)node << 16) | next;

    private readonly record struct Step(int Length, int Id, float Score);
}
