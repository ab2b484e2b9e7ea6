using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>A counted language model: the probability of a token after the few tokens before it, by interpolated modified Kneser-Ney
/// smoothing (Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling", section 3). To compare a network
/// with.</summary>
/// <remarks>
/// <para>P(w | c) = (count(c w) - D(count(c w)) + (sum over v of D(count(c v))) x P(w | c without its first token)) / (sum over v of
/// count(c v)); below the shortest context all tokens of the vocabulary are equally likely. Counts of the longest n-grams, and of those at a
/// document's start, are occurrences; those of shorter ones are the different tokens that precede them. The discounts D of counts 1, 2 and
/// more follow from how many n-grams of that length have the counts 1 to 4.</para>
/// <para>A document begins after a start that is no token, and its end is not counted. Memory grows with the different
/// n-grams. Adding is for one thread; a model that nothing is added to any more may be read by several.</para>
/// </remarks>
public sealed class NGramModel
{
    /// <summary>Stands for a document's start as context.</summary>
    internal const int StartId = -1;

    private const int Root = 0;
    private const int Missing = -1;

    private readonly Dictionary<(int Context, int Id), int> _children = [];
    private readonly List<Node> _nodes = [new(Missing, StartId, 0)];
    private Statistics? _statistics;

    /// <summary>Makes a model without counts: all tokens are equally likely.</summary>
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
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary; nothing is counted.</exception>
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
                int known = _nodes.Count;
                int node = GetOrAdd(context[k], id);
                if (k == length || isLongerNew)
                    Increase(node, 1);
                isLongerNew = node == known;
                if (k + 1 < Order)
                    next[k + 1] = node;
            }

            (context, next) = (next, context);
            length = Math.Min(length + 1, Order - 1);
        }
    }

    /// <summary>Makes a model of an order of 1 or 2 from the counts of pairs of neighbours.</summary>
    /// <param name="order">1 or 2.</param>
    /// <param name="vocabularySize">The number of token ids.</param>
    /// <param name="counts">Each pair once; <see cref="StartId"/> comes before a document's first token.</param>
    internal static NGramModel FromBigrams(int order, int vocabularySize, IEnumerable<(int Previous, int Id, int Count)> counts)
    {
        var model = new NGramModel(order, vocabularySize);
        foreach ((int previous, int id, int count) in counts)
        {
            if (order == 2)
                model.Increase(model.GetOrAdd(model.GetOrAdd(Root, previous), id), count);
            model.Increase(model.GetOrAdd(Root, id), order == 2 ? 1 : count);
        }

        return model;
    }

    /// <summary>Gives the log-likelihood of a document: the sum over its tokens, in nats.</summary>
    /// <param name="ids">Its token ids, each at least 0 and below <see cref="VocabularySize"/>.</param>
    /// <returns>At most 0.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is <see langword="null"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public double LogLikelihood(IReadOnlyList<int> ids)
    {
        RequireKnown(ids);
        Statistics statistics = _statistics ??= new Statistics(_nodes, Order);
        int[] context = StartContext(Find);
        double sum = 0;
        foreach (int id in ids)
        {
            double probability = 1.0 / VocabularySize;
            for (int k = 0; k < Order && context[k] != Missing; k++)
                probability = statistics.Interpolate(context[k], Find(context[k], id), probability);
            sum += Math.Log(probability);
            Advance(context, id);
        }

        return sum;
    }

    /// <summary>Gives the probabilities of every token after each of some tokens, multiplied by a weight.</summary>
    /// <param name="ids">The tokens, as a stretch of a stream: after an end-of-text token a document starts.</param>
    /// <param name="endOfTextId">The end-of-text token.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="destination">To be filled: for each token a row, of which the first V values are the probabilities after it.</param>
    /// <param name="rowSize">Values of a row: at least V.</param>
    internal void Predict(ReadOnlySpan<int> ids, int endOfTextId, float weight, Span<float> destination, int rowSize)
    {
        Statistics statistics = _statistics ??= new Statistics(_nodes, Order);
        int[] context = new int[Order];
        context.AsSpan(1).Fill(Missing);
        for (int i = 0; i < ids.Length; i++)
        {
            if (ids[i] == endOfTextId)
                context = StartContext(Find);
            else
                Advance(context, ids[i]);
            int length = Order - 1;
            while (context[length] == Missing)
                length--;
            statistics.Distribute(context.AsSpan(0, length + 1), weight, destination.Slice(i * rowSize, VocabularySize));
        }
    }

    // The nodes of the last 0, 1, 2, ... tokens; where one is missing, so are all longer ones.
    private int[] StartContext(Func<int, int, int> getNode)
    {
        int[] context = new int[Order];
        context.AsSpan(1).Fill(Missing);
        if (Order > 1)
            context[1] = getNode(Root, StartId);
        return context;
    }

    private void Advance(int[] context, int id)
    {
        for (int k = Order - 1; k > 0; k--)
            context[k] = context[k - 1] == Missing ? Missing : Find(context[k - 1], id);
    }

    private void Increase(int node, int count) => _nodes[node] = _nodes[node] with { Count = _nodes[node].Count + count };

    private int Find(int context, int id) => _children.GetValueOrDefault((context, id), Missing);

    private int GetOrAdd(int context, int id)
    {
        ref int node = ref CollectionsMarshal.GetValueRefOrAddDefault(_children, (context, id), out bool exists);
        if (exists)
            return node;
        node = _nodes.Count;
        _nodes.Add(new Node(context, id, 0));
        return node;
    }

    private void RequireKnown(IReadOnlyList<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)VocabularySize)
                throw new ArgumentOutOfRangeException(nameof(ids), id, $"ids must be from 0 to {VocabularySize - 1}.");
        }
    }

    // An n-gram: its last token, after the n-gram that is its context.
    private readonly record struct Node(int Context, int Id, int Count);

    /// <summary>What follows each context, and what is taken off the counts for what was not seen there.</summary>
    private sealed class Statistics
    {
        // Counts of 3 and more are discounted alike.
        private const int LargestClass = 3;

        // A discount of 0 would leave nothing for what was not seen.
        private const double LeastDiscount = 0.05;

        private readonly List<Node> _nodes;
        private readonly double[] _kept;
        private readonly double[] _total;
        private readonly double[] _discounted;
        private readonly int[] _first;
        private readonly int[] _followers;
        private float[]? _unigram;

        public Statistics(List<Node> nodes, int order)
        {
            _nodes = nodes;
            byte[] lengths = new byte[nodes.Count];
            long[,] countsOfCounts = new long[order + 1, LargestClass + 2];
            _first = new int[nodes.Count + 1];
            for (int i = 1; i < nodes.Count; i++)
            {
                // A context is older than what follows it.
                lengths[i] = (byte)(lengths[nodes[i].Context] + 1);
                if (nodes[i].Count is > 0 and <= LargestClass + 1)
                    countsOfCounts[lengths[i], nodes[i].Count]++;
                _first[nodes[i].Context + 1]++;
            }

            double[,] discounts = Discounts(countsOfCounts, order);
            _kept = new double[nodes.Count];
            _total = new double[nodes.Count];
            _discounted = new double[nodes.Count];
            for (int i = 1; i < nodes.Count; i++)
            {
                (int context, _, int count) = nodes[i];
                double discount = discounts[lengths[i], Math.Min(count, LargestClass)];
                _kept[i] = count - discount;
                _total[context] += count;
                _discounted[context] += discount;
            }

            for (int i = 1; i < _first.Length; i++)
                _first[i] += _first[i - 1];
            _followers = new int[nodes.Count - 1];
            int[] places = [.. _first];
            for (int i = 1; i < nodes.Count; i++)
                _followers[places[nodes[i].Context]++] = i;
        }

        /// <summary>Gives the probability of a token after a context, from that after the next shorter one.</summary>
        public double Interpolate(int context, int node, double shorter) => _total[context] == 0
            ? shorter
            : ((node == Missing ? 0 : _kept[node]) + _discounted[context] * shorter) / _total[context];

        /// <summary>Does so for every token and all contexts at once, in one pass over the tokens.</summary>
        /// <param name="contexts">The contexts from the empty one to the longest that is known.</param>
        /// <param name="weight">What the probabilities are multiplied by.</param>
        /// <param name="destination">Where they go.</param>
        public void Distribute(ReadOnlySpan<int> contexts, float weight, Span<float> destination)
        {
            float left = weight;
            for (int k = 1; k < contexts.Length; k++)
                left *= PartLeft(contexts[k]);
            TensorPrimitives.Multiply(_unigram ??= Unigram(destination.Length), left, destination);
            left = weight;
            for (int k = contexts.Length - 1; k > 0; k--)
            {
                AddFollowers(contexts[k], left, destination);
                left *= PartLeft(contexts[k]);
            }
        }

        private float PartLeft(int context) => _total[context] == 0 ? 1 : (float)(_discounted[context] / _total[context]);

        private float[] Unigram(int vocabularySize)
        {
            float[] probabilities = new float[vocabularySize];
            Array.Fill(probabilities, PartLeft(Root) / vocabularySize);
            AddFollowers(Root, 1, probabilities);
            return probabilities;
        }

        private void AddFollowers(int context, float weight, Span<float> probabilities)
        {
            foreach (int node in _followers.AsSpan(_first[context].._first[context + 1]))
            {
                if (_nodes[node].Count > 0)
                    probabilities[_nodes[node].Id] += weight * (float)(_kept[node] / _total[context]);
            }
        }

        // D(n) = n - (n + 1) Y N(n + 1) / N(n), where Y = N(1) / (N(1) + 2 N(2)), and N(n) n-grams have the count n.
        private static double[,] Discounts(long[,] countsOfCounts, int order)
        {
            double[,] discounts = new double[order + 1, LargestClass + 1];
            for (int length = 1; length <= order; length++)
            {
                double y = countsOfCounts[length, 1] / Math.Max(1.0, countsOfCounts[length, 1] + 2 * countsOfCounts[length, 2]);
                for (int n = 1; n <= LargestClass; n++)
                {
                    double ratio = countsOfCounts[length, n + 1] / Math.Max(1.0, countsOfCounts[length, n]);
                    discounts[length, n] = Math.Clamp(n - (n + 1) * y * ratio, LeastDiscount, n);
                }
            }

            return discounts;
        }
    }
}
