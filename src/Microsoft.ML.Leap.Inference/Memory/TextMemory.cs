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
/// <param name="isOfBytes">Whether tokens are bytes, of which single ones stand everywhere.</param>
/// <param name="endOfTextId">The token that stands before a text.</param>
/// <param name="gate">How much matches count.</param>
internal sealed class TextMemory(bool isOfBytes, int endOfTextId, TextGate gate)
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

    private readonly int _shortestMatch = isOfBytes ? 2 : 1;
    private readonly int _reach = isOfBytes ? ReachOfBytes : Reach;

    // Matches: the id that followed, and below it how many tokens matched. In their order, those of one id are together.
    private readonly List<long> _matches = [];

    // By the tokens of a match: how many there are of so many or more, and how many different ids follow them.
    private readonly int[] _totals = new int[LongestMatch + 2];
    private readonly int[] _followers = new int[LongestMatch + 2];
    private int _longest;

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
            losses[i] = Mix(losses[i], kept, added);
            if (ids[place] == endOfTextId)
                start = place;
        }
    }

    /// <summary>Mixes into a loss what <see cref="Find(ReadOnlySpan{int}, int)"/> tells of its token.</summary>
    public static double Mix(double loss, double kept, double added) => added == 0 ? loss - Math.Log(kept) : -Math.Log(kept * Math.Exp(-loss) + added);

    /// <summary>Mixes into the logits of what comes next in a text.</summary>
    /// <param name="logits">[V].</param>
    /// <param name="ids">What was read, or the last part of it.</param>
    public void Mix(Span<float> logits, ReadOnlySpan<int> ids)
    {
        if (!FindMatches(ids[FindStart(ids)..]))
            return;
        double logSum = VectorMath.LogSumExp(logits, TensorPrimitives.Max<float>(logits));
        double h = gate.Get(_longest);
        TensorPrimitives.Add(logits, (float)Math.Log(gate.GetKept(new TextMatch(_longest, GetPassed(), 0))), logits);
        for (int first = 0, end; first < _matches.Count; first = end)
        {
            end = GetEnd(first);
            ref float logit = ref logits[GetId(first)];
            logit = (float)(logSum + Math.Log(Math.Exp(logit - logSum) + h * GetShare(first, end)));
        }
    }

    /// <summary>Tells what becomes of a token's probability: <c>p' = kept p + added</c>.</summary>
    /// <param name="ids">What was read before the token, or the last part of it.</param>
    /// <param name="id">The token.</param>
    public (double Kept, double Added) Find(ReadOnlySpan<int> ids, int id) => FindInText(ids[FindStart(ids)..], id);

    /// <summary>Tells what followed the text's last tokens where they stood before.</summary>
    /// <inheritdoc cref="Find(ReadOnlySpan{int}, int)"/>
    public TextMatch Match(ReadOnlySpan<int> ids, int id) => MatchInText(ids[FindStart(ids)..], id);

    private int FindStart(ReadOnlySpan<int> ids) => Math.Max(0, ids.LastIndexOf(endOfTextId));

    private (double Kept, double Added) FindInText(ReadOnlySpan<int> text, int id)
    {
        TextMatch match = MatchInText(text, id);
        return (gate.GetKept(match), gate.Get(match.Length) * match.Share);
    }

    private TextMatch MatchInText(ReadOnlySpan<int> text, int id)
    {
        if (!FindMatches(text))
            return TextMatch.None;
        int first = _matches.BinarySearch((long)id << MatchedBits);
        first = first < 0 ? ~first : first;
        return new TextMatch(_longest, GetPassed(), first < _matches.Count && GetId(first) == id ? GetShare(first, GetEnd(first)) : 0);
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

    // What q has of p, which is below all lengths.
    private double GetPassed()
    {
        double passed = 1;
        for (int length = _shortestMatch; length <= _longest; length++)
            passed *= Discount * _followers[length] / _totals[length];
        return passed;
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

/// <summary>What a text says of a token by its last tokens: <c>q = passed p + share</c>.</summary>
/// <param name="Length">The tokens of the longest match; 0 for none.</param>
/// <param name="Passed">What q has of p.</param>
/// <param name="Share">What q has beyond.</param>
internal readonly record struct TextMatch(int Length, double Passed, double Share)
{
    public static TextMatch None { get; } = new(0, 1, 0);
}

/// <summary>How much of a token's probability comes from what the text said: <c>h = sigmoid(bias + slope k)</c>, k being the tokens of the match; 0 without
/// one.</summary>
/// <param name="Bias">From -100 to 100.</param>
/// <param name="Slope">The same.</param>
internal readonly record struct TextGate(float Bias, float Slope)
{
    // Far beyond what the learning comes to.
    private const float Greatest = 100;

    /// <summary>Gets the gate to take where no text is held out to learn it from: near the best of several texts (docs/research.md).</summary>
    public static TextGate Default { get; } = new(-1.5f, 0.2f);

    /// <summary>Gets whether the numbers are within their range.</summary>
    public bool IsValid => Math.Abs(Bias) <= Greatest && Math.Abs(Slope) <= Greatest;

    /// <summary>Learns the gate that makes tokens likeliest.</summary>
    /// <param name="tokens">For each token its probability without the text's memory, what that says of it, and how much the token counts.</param>
    public static TextGate Learn(IReadOnlyList<(double Probability, TextMatch Match, double Weight)> tokens)
    {
        double[] learned = GradientAscent.Climb([Default.Bias, Default.Slope], tokens.Count, (weights, gradient) =>
        {
            var gate = new TextGate((float)weights[0], (float)weights[1]);
            foreach ((double p, TextMatch match, double weight) in tokens)
            {
                if (match.Length == 0)
                    continue;
                double h = gate.Get(match.Length);
                double q = match.Passed * p + match.Share;
                double slope = weight * (q - p) / ((1 - h) * p + h * q) * h * (1 - h);
                gradient[0] += slope;
                gradient[1] += slope * match.Length;
            }
        });
        return new TextGate((float)learned[0], (float)learned[1]);
    }

    /// <summary>Gives h.</summary>
    public double Get(int length) => length == 0 ? 0 : 1 / (1 + Math.Exp(-(double)Bias - (double)Slope * length));

    /// <summary>Gives what is left of p.</summary>
    public double GetKept(TextMatch match) => 1 - Get(match.Length) * (1 - match.Passed);
}
