using System.Numerics.Tensors;

namespace Microsoft.ML.Leap;

/// <summary>What was counted in the training texts: the probability of a token after the few tokens before it, by interpolated modified
/// Kneser-Ney smoothing, as <see cref="NGramModel"/> computes it, in a form that is small and quick to ask. Immutable, and therefore
/// thread-safe.</summary>
/// <remarks>
/// <para>A tree of n-grams: a node's children are the tokens that followed it, in the order of their ids. A child holds its share,
/// the discounted count over the count of all that followed; <c>P(w | c) = share(c w) + left(c) P(w | c without its first token)</c>, where
/// left(c) is what the shares leave of 1. Shares are rounded down to bfloat16, so that probabilities sum to 1 whatever was left out.</para>
/// <para>One n-gram takes 4 bytes of memory, 6 with more than 32,768 token ids, and 4 more where others go on from it or from a later one; in a
/// file 4 to 10.</para>
/// </remarks>
internal sealed class NGramMemory
{
    /// <summary>The bytes of an n-gram in memory, at most: by them a limit of memory becomes a limit of n-grams.</summary>
    public const int BytesPerNGram = 16;

    /// <summary>The longest n-grams that a memory may have.</summary>
    public const int MaximumOrder = 32;

    private const int Root = 0;
    private const int Missing = -1;

    // Of each node: its last token, and the bfloat16 of its share of what followed its context. Of each up to the last one with children: where
    // those begin (they end where those of the next node begin). Of the empty n-gram and of single tokens, which have many: what their shares leave.
    private readonly TokenIds _ids;
    private readonly NativeArray<int> _firstChild;
    private readonly NativeArray<ushort> _shares;
    private readonly float[] _left;
    private readonly int _start;
    private readonly float[] _unigram;

    private NGramMemory(int order, int vocabularySize, TokenIds ids, NativeArray<int> firstChild, NativeArray<ushort> shares, float[] left)
    {
        Order = order;
        VocabularySize = vocabularySize;
        _ids = ids;
        _firstChild = firstChild;
        _shares = shares;
        _left = left;
        _start = Find(Root, NGramModel.StartId);
        _unigram = new float[vocabularySize];
        Array.Fill(_unigram, GetLeft(Root) / vocabularySize);
        AddChildren(Root, 1, _unigram);
    }

    /// <summary>Gets the number of tokens of the longest n-grams, the predicted one included.</summary>
    public int Order { get; }

    /// <summary>Gets the number of token ids.</summary>
    public int VocabularySize { get; }

    /// <summary>Gets the number of n-grams, the empty one included.</summary>
    public int Count => _ids.Length;

    /// <summary>Gets the tokens, [n]: the last one of each n-gram. N-grams are in the order of their lengths, then of their contexts, then of
    /// their ids.</summary>
    public TokenIds Ids => _ids;

    /// <summary>Gets the shares in bfloat16, [n], for as long as the caller refers to this memory.</summary>
    public ReadOnlySpan<ushort> Shares => _shares.AsSpan(0, Count);

    /// <summary>Gets the bytes of memory that it takes.</summary>
    public long SizeInBytes =>
        _ids.SizeInBytes + (long)Count * sizeof(ushort) + (long)ParentCount * sizeof(int) + ((long)_left.Length + VocabularySize) * sizeof(float);

    /// <summary>Gets how many n-grams there are up to the last one that has children.</summary>
    public int ParentCount => _firstChild.Length;

    /// <summary>Gives the number of an n-gram's children.</summary>
    public int GetChildCount(int node) => node < ParentCount ? GetEnd(node) - _firstChild[node] : 0;

    /// <summary>Makes a memory of counts, leaving out the rarest of the longest n-grams where they are too many.</summary>
    /// <param name="counts">The counts.</param>
    /// <param name="maximumBytes">Memory that the n-grams may take; single tokens and pairs are kept in any case.</param>
    public static NGramMemory Create(NGramModel counts, long maximumBytes)
    {
        CountedNGram[] all = counts.GetNGrams();
        bool[] kept = ChooseKept(all, counts.Order, maximumBytes / BytesPerNGram);
        int count = kept.Count(isKept => isKept);
        int[] places = new int[all.Length];
        int[] ids = new int[count];
        int[] children = new int[count];
        ushort[] shares = new ushort[count];
        int place = 0;
        foreach (IGrouping<int, int> length in Enumerable.Range(0, all.Length).Where(i => kept[i]).GroupBy(i => all[i].Length).OrderBy(group => group.Key))
        {
            foreach (int i in length.OrderBy(i => i == Root ? 0 : places[all[i].Context]).ThenBy(i => all[i].Id))
            {
                places[i] = place;
                ids[place] = all[i].Id;
                shares[place] = RoundDown(all[i].Share);
                if (i != Root)
                    children[places[all[i].Context]]++;
                place++;
            }
        }

        int parents = Array.FindLastIndex(children, children => children > 0) + 1;
        return Create(counts.Order, counts.VocabularySize, new TokenIds(ids), new NativeArray<int>(children.AsSpan(0, parents)), new NativeArray<ushort>(shares));
    }

    /// <summary>Makes a memory of its parts, and checks that they fit together.</summary>
    /// <param name="order">Tokens of the longest n-grams.</param>
    /// <param name="vocabularySize">The number of token ids.</param>
    /// <param name="ids">The last token of each n-gram, the empty one included. The memory keeps them.</param>
    /// <param name="children">How many n-grams go on from each, as far as any do. The memory keeps this array too, and writes over it: for
    /// millions of n-grams, getting fresh memory takes longer than all else here.</param>
    /// <param name="shares">The share of each, in bfloat16. The memory keeps the array.</param>
    /// <exception cref="FormatException">They do not make a tree of n-grams.</exception>
    public static NGramMemory Create(int order, int vocabularySize, TokenIds ids, NativeArray<int> children, NativeArray<ushort> shares)
    {
        if (ids.Length == 0 || ids.Length < children.Length || ids.Length != shares.Length)
            throw new FormatException($"The memory has {ids.Length} ids, {children.Length} numbers of children and {shares.Length} shares.");

        // Spans, because a browser compiles no loop that calls.
        Span<int> firstChild = children.AsSpan(0, children.Length);
        ReadOnlySpan<ushort> allShares = shares.AsSpan(0, shares.Length);
        ReadOnlySpan<short> narrowIds = ids.Narrow;
        ReadOnlySpan<int> wideIds = ids.Wide;
        int nodeCount = ids.Length;
        float[] left = new float[children.Length == 0 ? 0 : Math.Clamp(children[0] + 1L, 0, children.Length)];
        int next = 1;
        int levelEnd = 1;
        int length = 0;
        for (int node = 0; node < firstChild.Length; node++)
        {
            if (node == levelEnd)
            {
                length++;
                levelEnd = next;
            }

            int first = next;
            int count = firstChild[node];
            if (count < 0 || count > nodeCount - first || (count > 0 && length == order))
                throw new FormatException($"N-gram {node} of the memory cannot have {count} children.");
            next += count;
            firstChild[node] = first;
            double taken = 0;
            int last = node == Root ? NGramModel.StartId - 1 : -1;
            for (int child = first; child < next; child++)
            {
                int id = narrowIds.IsEmpty ? wideIds[child] : narrowIds[child];
                float share = BFloat16Bits.Widen(allShares[child]);
                if (id <= last || id >= vocabularySize || !(share >= 0))
                    throw new FormatException($"N-gram {child} of the memory is damaged: token {id} with a share of {share}.");
                last = id;
                taken += share;
            }

            if (!(taken <= 1))
                throw new FormatException($"The shares after n-gram {node} of the memory sum to {taken}, more than 1.");
            if (node < left.Length)
                left[node] = (float)(1 - taken);
        }

        if (next != nodeCount)
            throw new FormatException($"The memory has {nodeCount} n-grams, of which {next} are named as children.");
        return new NGramMemory(order, vocabularySize, ids, children, shares, left);
    }

    // A number from 0 to 1 in bfloat16.
    private static ushort RoundDown(double value)
    {
        float single = (float)value;
        if (single > value)
            single = MathF.BitDecrement(single);
        return (ushort)(BitConverter.SingleToUInt32Bits(single) >> 16);
    }

    private static bool[] ChooseKept(CountedNGram[] all, int order, long most)
    {
        const int LeastPruned = 3;
        bool[] kept = new bool[all.Length];
        Array.Fill(kept, true);
        int[] childCounts = new int[all.Length];
        for (int i = 1; i < all.Length; i++)
            childCounts[all[i].Context]++;
        long count = all.Length;
        int greatest = all.Max(ngram => ngram.Count);
        for (int rarity = 1; count > most && rarity <= greatest; rarity = Math.Max(rarity + 1, rarity * 3 / 2))
        {
            for (int length = order; length >= LeastPruned && count > most; length--)
            {
                for (int i = all.Length - 1; i > 0; i--)
                {
                    if (!kept[i] || all[i].Length != length || all[i].Count > rarity || childCounts[i] > 0)
                        continue;
                    kept[i] = false;
                    childCounts[all[i].Context]--;
                    count--;
                }
            }
        }

        return kept;
    }

    // Where a node's children end, if it may have some.
    private int GetEnd(int node) => node + 1 < ParentCount ? _firstChild[node + 1] : Count;

    private float GetShare(int node) => BFloat16Bits.Widen(_shares[node]);

    // What the shares of a node's children leave.
    private float GetLeft(int node)
    {
        if (node < _left.Length)
            return _left[node];
        double taken = 0;
        if (node < ParentCount)
        {
            int end = GetEnd(node);
            for (int child = _firstChild[node]; child < end; child++)
                taken += GetShare(child);
        }

        return (float)(1 - taken);
    }

    private int Find(int node, int id)
    {
        if (node >= ParentCount)
            return Missing;
        int low = _firstChild[node];
        int high = GetEnd(node) - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int found = _ids[middle];
            if (found == id)
                return middle;
            if (found < id)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return Missing;
    }

    private void AddChildren(int node, float weight, Span<float> probabilities)
    {
        if (node >= ParentCount)
            return;
        int end = GetEnd(node);
        for (int child = _firstChild[node]; child < end; child++)
        {
            if (_ids[child] >= 0)
                probabilities[_ids[child]] += weight * GetShare(child);
        }
    }

    /// <summary>Follows a text through a memory. Not thread-safe.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="endOfTextId">The token after which a document begins.</param>
    public sealed class Reader(NGramMemory memory, int endOfTextId)
    {
        // The nodes of the last 0, 1, 2, ... tokens, as far as the memory knows them.
        private readonly int[] _contexts = new int[memory.Order];
        private int _length = 1;

        /// <summary>Gets the number of tokens of the longest n-grams.</summary>
        public int Order => memory.Order;

        /// <summary>Gets the number of token ids.</summary>
        public int VocabularySize => memory.VocabularySize;

        /// <summary>Gets how many of the last tokens the memory has seen go on: from 0 to one less than the order.</summary>
        public int Matched
        {
            get
            {
                int matched = _length - 1;
                while (matched > 0 && memory.GetChildCount(_contexts[matched]) == 0)
                    matched--;
                return matched;
            }
        }

        /// <summary>Gets the probability that what comes next was not seen after the tokens of <see cref="Matched"/>.</summary>
        public float Left => memory.GetLeft(_contexts[Matched]);

        /// <summary>Gets how many of the last tokens the memory knows together, whether or not it has seen them go on.</summary>
        public int KnownLength => _length - 1;

        /// <summary>Tells what the memory counted after some of the last tokens.</summary>
        /// <param name="length">How many of the last tokens, up to <see cref="KnownLength"/>.</param>
        /// <param name="id">A token that may follow.</param>
        /// <returns>The token's share of what followed, what the shares of all leave, and how many different tokens followed.</returns>
        public (float Share, float Left, int Followers) GetFollower(int length, int id)
        {
            int node = _contexts[length];
            int child = memory.Find(node, id);
            return (child == Missing ? 0 : memory.GetShare(child), memory.GetLeft(node), memory.GetChildCount(node));
        }

        /// <summary>Makes another that goes on from the same place.</summary>
        public Reader Clone()
        {
            var clone = new Reader(memory, endOfTextId) { _length = _length };
            _contexts.CopyTo(clone._contexts, 0);
            return clone;
        }

        /// <summary>Forgets the text, and begins anew with a token.</summary>
        public void Start(int id)
        {
            _length = 1;
            Read(id);
        }

        /// <summary>Reads a token.</summary>
        /// <returns>The probability that it had: over 0, as far as every token is as likely as one in the vocabulary's size.</returns>
        public double Read(int id)
        {
            double probability = 1.0 / memory.VocabularySize;
            int length = 1;
            bool isKnown = true;

            // Longer contexts overwrite the nodes of shorter ones only after they were asked.
            int previous = _contexts[0];
            for (int k = 0; k < _length; k++)
            {
                int context = k == 0 ? Root : previous;
                previous = k + 1 < _length ? _contexts[k + 1] : Missing;
                int child = memory.Find(context, id);
                probability = (child == Missing ? 0 : memory.GetShare(child)) + memory.GetLeft(context) * probability;
                isKnown &= child != Missing;
                if (isKnown && k + 1 < memory.Order)
                {
                    _contexts[k + 1] = child;
                    length = k + 2;
                }
            }

            _length = length;
            if (id == endOfTextId)
                StartDocument();
            return probability;
        }

        /// <summary>Gives the probability of every token.</summary>
        /// <param name="probabilities">To be filled, [V].</param>
        public void WriteProbabilities(Span<float> probabilities)
        {
            float left = 1;
            for (int k = 1; k < _length; k++)
                left *= memory.GetLeft(_contexts[k]);
            TensorPrimitives.Multiply(memory._unigram, left, probabilities);
            left = 1;
            for (int k = _length - 1; k > 0; k--)
            {
                memory.AddChildren(_contexts[k], left, probabilities);
                left *= memory.GetLeft(_contexts[k]);
            }
        }

        private void StartDocument()
        {
            _length = 1;
            if (memory._start == Missing || memory.Order == 1)
                return;
            _contexts[1] = memory._start;
            _length = 2;
        }
    }
}

/// <summary>An n-gram of a counted model.</summary>
/// <param name="Context">The place of the n-gram without its last token, before this one's.</param>
/// <param name="Id">Its last token.</param>
/// <param name="Length">Its tokens.</param>
/// <param name="Count">How often it was counted.</param>
/// <param name="Share">Its discounted count over the count of all that followed its context.</param>
internal readonly record struct CountedNGram(int Context, int Id, int Length, int Count, double Share);
