using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A counted language model to compare a network with: the probability of a token after the few tokens before it, by interpolated
/// modified Kneser-Ney smoothing (Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling", section 3).</summary>
/// <remarks>
/// <para>The probability of token w after context c is (count(c w) - D(count(c w)) + sum of the discounts of all that follows c x P(w after c
/// without its first token)) / count(c); below the shortest context every token of the vocabulary is as likely. Counts of the longest
/// n-grams, and of those at a document's start, are occurrences; those of shorter ones are the different tokens that precede them. The
/// discounts D of counts 1, 2 and more come from how many n-grams of that length have counts of 1 to 4.</para>
/// <para>Documents begin after a start that is no token, and their end is not counted. Memory grows with the different n-grams: about 50 bytes
/// each. Adding is for one thread at a time; a model that nothing is added to may be read by several threads.</para>
/// </remarks>
public sealed class NGramModel
{
    private const int Start = -1;
    private const int Root = 0;
    private const int Missing = -1;

    // Counts of 0, 1, 2, and 3 or more are discounted alike.
    private const int Classes = 4;

    // A discount of 0 would leave nothing for what was not seen.
    private const double LeastDiscount = 0.05;

    private readonly Dictionary<(int Context, int Id), int> _nodes = [];
    private readonly List<Node> _list = [new(Missing, 0)];
    private Statistics? _statistics;

    /// <summary>Makes a model without counts: every token is as likely.</summary>
    /// <param name="order">Tokens of the longest n-grams, the predicted one included: at least 1 (a unigram model), at most 32.</param>
    /// <param name="vocabularySize">The number of token ids; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public NGramModel(int order, int vocabularySize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(order, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order, 32);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        Order = order;
        VocabularySize = vocabularySize;
    }

    /// <summary>Gets the number of tokens of the longest n-grams.</summary>
    public int Order { get; }

    /// <summary>Gets the number of token ids.</summary>
    public int VocabularySize { get; }

    /// <summary>Counts a document.</summary>
    /// <param name="ids">Its token ids, each at least 0 and below <see cref="VocabularySize"/>.</param>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public void Add(IReadOnlyList<int> ids)
    {
        RequireKnown(ids);
        _statistics = null;
        int[] context = StartContext(GetOrAdd);
        int[] next = new int[Order];
        int length = Math.Min(1, Order - 1);
        foreach (int id in ids)
        {
            bool isLongerNew = false;
            for (int k = length; k >= 0; k--)
            {
                int known = _list.Count;
                int node = GetOrAdd(context[k], id);
                if (k == length || isLongerNew)
                    _list[node] = _list[node] with { Count = _list[node].Count + 1 };
                isLongerNew = node == known;
                if (k + 1 < Order)
                    next[k + 1] = node;
            }

            (context, next) = (next, context);
            context[0] = Root;
            length = Math.Min(length + 1, Order - 1);
        }
    }

    /// <summary>Gives the log-likelihood of a document: the sum over its tokens, in nats.</summary>
    /// <param name="ids">Its token ids, each at least 0 and below <see cref="VocabularySize"/>.</param>
    /// <returns>At most 0.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public double LogLikelihood(IReadOnlyList<int> ids)
    {
        RequireKnown(ids);
        Statistics statistics = _statistics ??= new Statistics(_list, Order);
        int[] context = StartContext(Find);
        int[] next = new int[Order];
        double sum = 0;
        foreach (int id in ids)
        {
            double probability = 1.0 / VocabularySize;
            next.AsSpan(1).Fill(Missing);
            next[0] = Root;
            for (int k = 0; k < Order && context[k] != Missing; k++)
            {
                int node = Find(context[k], id);
                int count = node == Missing ? 0 : _list[node].Count;
                probability = statistics.Interpolate(context[k], k + 1, count, probability);
                if (k + 1 < Order)
                    next[k + 1] = node;
            }

            sum += Math.Log(probability);
            (context, next) = (next, context);
        }

        return sum;
    }

    // The nodes of the last 0, 1, 2, ... tokens.
    private int[] StartContext(Func<int, int, int> getNode)
    {
        int[] context = new int[Order];
        Array.Fill(context, Missing);
        context[0] = Root;
        if (Order > 1)
            context[1] = getNode(Root, Start);
        return context;
    }

    private int Find(int context, int id) => _nodes.GetValueOrDefault((context, id), Missing);

    private int GetOrAdd(int context, int id)
    {
        ref int node = ref CollectionsMarshal.GetValueRefOrAddDefault(_nodes, (context, id), out bool exists);
        if (exists)
            return node;
        node = _list.Count;
        _list.Add(new Node(context, 0));
        return node;
    }

    // All before the first is counted.
    private void RequireKnown(IReadOnlyList<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)VocabularySize)
                throw new ArgumentOutOfRangeException(nameof(ids), id, $"An id must be at least 0 and below the vocabulary's size, {VocabularySize}.");
        }
    }

    // An n-gram: its last token follows the n-gram that is its context.
    private readonly record struct Node(int Context, int Count);

    /// <summary>What follows each context in all, and what is taken off the counts.</summary>
    private sealed class Statistics
    {
        private readonly double[,] _discounts;
        private readonly double[] _total;
        private readonly double[] _discounted;

        public Statistics(List<Node> nodes, int order)
        {
            byte[] depths = new byte[nodes.Count];
            long[,] countsOfCounts = new long[order + 1, Classes + 1];
            for (int i = 1; i < nodes.Count; i++)
            {
                // A context is always older than what follows it.
                depths[i] = (byte)(depths[nodes[i].Context] + 1);
                if (nodes[i].Count is > 0 and <= Classes)
                    countsOfCounts[depths[i], nodes[i].Count]++;
            }

            _discounts = Discounts(countsOfCounts, order);
            _total = new double[nodes.Count];
            _discounted = new double[nodes.Count];
            for (int i = 1; i < nodes.Count; i++)
            {
                _total[nodes[i].Context] += nodes[i].Count;
                _discounted[nodes[i].Context] += _discounts[depths[i], Math.Min(nodes[i].Count, Classes - 1)];
            }
        }

        public double Interpolate(int context, int depth, int count, double shorter) => _total[context] == 0
            ? shorter
            : (count - _discounts[depth, Math.Min(count, Classes - 1)] + _discounted[context] * shorter) / _total[context];

        // D(n) = n - (n + 1) Y N(n + 1) / N(n), where Y = N(1) / (N(1) + 2 N(2)), and N(n) n-grams have the count n.
        private static double[,] Discounts(long[,] countsOfCounts, int order)
        {
            double[,] discounts = new double[order + 1, Classes];
            for (int depth = 1; depth <= order; depth++)
            {
                double y = countsOfCounts[depth, 1] / Math.Max(1.0, countsOfCounts[depth, 1] + 2 * countsOfCounts[depth, 2]);
                for (int n = 1; n < Classes; n++)
                {
                    double ratio = countsOfCounts[depth, n + 1] / Math.Max(1.0, countsOfCounts[depth, n]);
                    discounts[depth, n] = Math.Clamp(n - (n + 1) * y * ratio, LeastDiscount, n);
                }
            }

            return discounts;
        }
    }
}
