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

    // A tree of the pieces. The children of a node follow each other, sorted by their characters.
    private readonly Node[] _nodes;
    private readonly char[] _characters;

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

        var pieces = new List<(string Text, int Id)>();
        for (int id = 0; id < model.Count; id++)
        {
            SentencePiece piece = model.Pieces[id];
            if (piece.Type is not (SentencePiece.Normal or SentencePiece.UserDefined))
                continue;
            _scores[id] = piece.Type == SentencePiece.Normal ? piece.Score : (Encoding.UTF8.GetByteCount(piece.Text) * highest) - 0.1;
            pieces.Add((piece.Text, id));
        }

        pieces.Sort((left, right) => string.CompareOrdinal(left.Text, right.Text));
        (_nodes, _characters) = BuildTree(pieces);
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
            for (int end = start; end < text.Length && (node = Next(node, text[end])) >= 0;)
            {
                end++;
                int id = _nodes[node].Id;
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

    // The next node, or -1.
    private int Next(int node, char next)
    {
        (int first, int count, _) = _nodes[node];
        int index = _characters.AsSpan(first, count).BinarySearch(next);
        return index < 0 ? -1 : first + index;
    }

    private static (Node[] Nodes, char[] Characters) BuildTree(List<(string Text, int Id)> pieces)
    {
        var nodes = new List<Node>();
        var characters = new List<char> { '\0' };
        var waiting = new Queue<(int From, int To, int Depth)>([(0, pieces.Count, 0)]);
        while (waiting.TryDequeue(out (int From, int To, int Depth) range))
        {
            (int from, int to, int depth) = range;
            int id = -1;
            for (; from < to && pieces[from].Text.Length == depth; from++)
                id = pieces[from].Id;

            int first = characters.Count;
            while (from < to)
            {
                int start = from;
                char next = pieces[start].Text[depth];
                while (from < to && pieces[from].Text[depth] == next)
                    from++;
                characters.Add(next);
                waiting.Enqueue((start, from, depth + 1));
            }

            nodes.Add(new Node(first, characters.Count - first, id));
        }

        return ([.. nodes], [.. characters]);
    }

    private readonly record struct Node(int FirstChild, int ChildCount, int Id);

    private readonly record struct Step(int Length, int Id, float Score);
}
