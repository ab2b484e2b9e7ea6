using System.Numerics.Tensors;

namespace Microsoft.ML.Leap;

/// <summary>What a text itself has said so far: where its last tokens stood before, what followed them there is likely again. It is mixed with what the model
/// says: <c>p' = (1 - h) p + h q</c>.</summary>
/// <remarks>
/// <para>q comes from the longest match downwards by absolute discounting (Ney, Essen and Kneser 1994), p below the shortest:
/// <c>q(w | c) = (max(n(c w) - D, 0) + D followers(c) q(w | c without its first token)) / n(c)</c>. The gate h grows with the longest match.</para>
/// <para>It depends on the text's last tokens alone, so that each place may be computed by itself, and needs no state but those. Not thread-safe: it keeps
/// room between calls.</para>
/// </remarks>
internal sealed class TextMemory
{
    /// <summary>How many of a text's last tokens count at most.</summary>
    public const int Reach = 8192;

    // A byte stands in many more places, each of which costs time, and a text has more of them.
    private const int ReachOfBytes = 2048;

    /// <summary>What a place takes, in multiplications, about.</summary>
    public const int Cost = 1000;

    private const int LongestMatch = 15;
    private const int MatchedBits = 4;
    private const double Discount = 0.75;

    // The logit of h, and what each token of the match adds to it: near the best on all texts tried, few or many rows (docs/research.md).
    private const double GateBias = -1.5;
    private const double GateSlope = 0.2;

    private readonly int _endOfTextId;
    private readonly int _shortestMatch;
    private readonly int _reach;

    // Matches: the id that followed, and below it how many tokens matched. In their order, those of one id are together.
    private readonly List<long> _matches = [];

    // By the tokens of a match: how many there are of so many or more, and how many different ids follow them.
    private readonly int[] _totals = new int[LongestMatch + 2];
    private readonly int[] _followers = new int[LongestMatch + 2];
    private int _longest;

    /// <param name="isOfBytes">Whether tokens are bytes, of which single ones stand everywhere.</param>
    /// <param name="endOfTextId">The token that stands before a text.</param>
    public TextMemory(bool isOfBytes, int endOfTextId)
    {
        _endOfTextId = endOfTextId;
        (_shortestMatch, _reach) = isOfBytes ? (2, ReachOfBytes) : (1, Reach);
    }

    /// <summary>Mixes into the losses of a part of a text.</summary>
    /// <param name="ids">What was read: a text from the token before it, or several texts, each after such a token. As far as the part's end.</param>
    /// <param name="first">The place of the part's first id.</param>
    /// <param name="losses">The loss of each of its ids in nats.</param>
    public void Mix(ReadOnlySpan<int> ids, int first, Span<double> losses)
    {
        int start = FindStart(ids[..first]);
        for (int i = 0; i < losses.Length; i++)
        {
            int place = first + i;
            (double kept, double added) = FindInText(ids[start..place], ids[place]);
            losses[i] = added == 0 ? losses[i] - Math.Log(kept) : -Math.Log(kept * Math.Exp(-losses[i]) + added);
            if (ids[place] == _endOfTextId)
                start = place;
        }
    }

    /// <summary>Mixes into the logits of what comes next in a text.</summary>
    /// <param name="logits">[V].</param>
    /// <param name="ids">What was read, or the last part of it.</param>
    public void Mix(Span<float> logits, ReadOnlySpan<int> ids)
    {
        if (!FindMatches(ids[FindStart(ids)..]))
            return;
        double logSum = new LogProbabilities().LogSum(logits);
        (double kept, double gate) = GetKept();
        TensorPrimitives.Add(logits, (float)Math.Log(kept), logits);
        for (int first = 0, end; first < _matches.Count; first = end)
        {
            end = GetEnd(first);
            ref float logit = ref logits[GetId(first)];
            logit = (float)(logSum + Math.Log(Math.Exp(logit - logSum) + gate * GetShare(first, end)));
        }
    }

    /// <summary>Tells what becomes of a token's probability: <c>p' = kept p + added</c>.</summary>
    /// <param name="ids">What was read before the token, or the last part of it.</param>
    /// <param name="id">The token.</param>
    public (double Kept, double Added) Find(ReadOnlySpan<int> ids, int id) => FindInText(ids[FindStart(ids)..], id);

    private int FindStart(ReadOnlySpan<int> ids) => Math.Max(0, ids.LastIndexOf(_endOfTextId));

    private (double Kept, double Added) FindInText(ReadOnlySpan<int> text, int id)
    {
        if (!FindMatches(text))
            return (1, 0);
        (double kept, double gate) = GetKept();
        int first = _matches.BinarySearch((long)id << MatchedBits);
        first = first < 0 ? ~first : first;
        return (kept, first < _matches.Count && GetId(first) == id ? gate * GetShare(first, GetEnd(first)) : 0);
    }

    private bool FindMatches(ReadOnlySpan<int> text)
    {
        _matches.Clear();
        _longest = 0;
        text = text[^Math.Min(_reach, text.Length)..];
        for (int i = text.IsEmpty ? -1 : text[..^1].LastIndexOf(text[^1]); i >= 0; i = text[..i].LastIndexOf(text[^1]))
        {
            int matched = 1;
            while (matched < LongestMatch && matched <= i && text[i - matched] == text[^(matched + 1)])
                matched++;
            if (matched < _shortestMatch)
                continue;
            _matches.Add(((long)text[i + 1] << MatchedBits) + matched);
            _longest = Math.Max(_longest, matched);
        }

        if (_longest == 0)
            return false;
        _matches.Sort();
        _totals.AsSpan().Clear();
        _followers.AsSpan().Clear();
        for (int m = 0; m < _matches.Count; m++)
        {
            // The last of an id's matches is its longest.
            _totals[GetMatched(m)]++;
            if (m + 1 == _matches.Count || GetId(m + 1) != GetId(m))
                _followers[GetMatched(m)]++;
        }

        for (int length = _longest - 1; length >= _shortestMatch; length--)
        {
            _totals[length] += _totals[length + 1];
            _followers[length] += _followers[length + 1];
        }

        return true;
    }

    // What is left of p: q has p below all lengths.
    private (double Kept, double Gate) GetKept()
    {
        double gate = 1 / (1 + Math.Exp(-GateBias - GateSlope * _longest));
        double passed = 1;
        for (int length = _shortestMatch; length <= _longest; length++)
            passed *= Discount * _followers[length] / _totals[length];
        return (1 - gate + gate * passed, gate);
    }

    // What q has beyond p for the id of some matches.
    private double GetShare(int first, int end)
    {
        double share = 0;
        for (int length = _shortestMatch; length <= _longest; length++)
        {
            while (first < end && GetMatched(first) < length)
                first++;
            share = (Math.Max(0, end - first - Discount) + Discount * _followers[length] * share) / _totals[length];
        }

        return share;
    }

    private int GetId(int match) => (int)(_matches[match] >> MatchedBits);

    private int GetMatched(int match) => (int)(_matches[match] & ((1 << MatchedBits) - 1));

    private int GetEnd(int first)
    {
        int end = first + 1;
        while (end < _matches.Count && GetId(end) == GetId(first))
            end++;
        return end;
    }
}
