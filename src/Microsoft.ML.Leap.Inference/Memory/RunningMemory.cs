using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>What a model remembers of the texts that it reads one after another: the n-grams counted so far, in these texts and in the training
/// texts, and how far they could be trusted. With it a model predicts later texts better where they are like earlier ones: lines of one log, messages of
/// one program, chapters of one book.</summary>
/// <remarks>
/// <para>p = (1 - g) p(model) + g q, where q is interpolated from the longest known n-gram downwards by absolute discounting (Ney, Essen and
/// Kneser 1994), p(model) below the shortest: after c, q(w | c) = (max(count(c w) - D, 0) + D followers(c) q(w | c without its first
/// token)) / (sum over v of count(c v)). A shorter n-gram is counted where the longer one is new, as by Kneser and Ney. The gate g is a sigmoid of
/// two numbers per kind of context, which each token that was read moves along the gradient of its log-likelihood.</para>
/// <para>Made by <see cref="LeapLanguageModel.CreateRunningMemory"/>. It grows with what is read, up to its limit. Not thread-safe.</para>
/// </remarks>
public sealed class RunningMemory
{
    // What an n-gram takes: its key, place and link in the dictionary with its buckets, and its node.
    private const int BytesPerNGram = 48;
    private const int BytesPerMegabyte = 1 << 20;
    private const int Root = 0;
    private const int Missing = -1;
    private const double Discount = 0.75;

    // Contexts of so many followers and more are of one kind.
    private const int MostFollowers = 3;
    private const double GateRate = 0.2;

    private readonly Dictionary<(int Context, int Id), int> _children = [];
    private readonly List<Node> _nodes = [default];
    private readonly NGramMemory.Reader? _counted;
    private readonly long _mostNGrams;
    private readonly GateWeights[,] _gate;

    // The nodes of the last 0, 1, 2, ... tokens of the text, as far as it has so many and there was room for them.
    private readonly int[] _contexts;

    /// <param name="memory">The model's memory, whose n-grams count as read; null for none.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="maximumMegabytes">Memory that it may take.</param>
    internal RunningMemory(ModelMemory? memory, LeapTokenizer tokenizer, int maximumMegabytes)
    {
        int order = ModelMemory.ChooseOrder(tokenizer.VocabularySize);
        _counted = memory?.CreateReader();
        Tokenizer = tokenizer;
        _mostNGrams = (long)maximumMegabytes * BytesPerMegabyte / BytesPerNGram;
        _contexts = new int[order];
        _gate = new GateWeights[order, MostFollowers + 1];
        for (int matched = 0; matched < order; matched++)
        {
            for (int followers = 0; followers <= MostFollowers; followers++)
                _gate[matched, followers] = GateWeights.Create(matched);
        }
    }

    /// <summary>Gets the number of tokens read.</summary>
    public long TokenCount { get; private set; }

    /// <summary>Gets the number of n-grams counted, without those of the training texts.</summary>
    public int NGramCount => _nodes.Count - 1;

    /// <summary>Gets the tokenizer whose tokens it counts.</summary>
    internal LeapTokenizer Tokenizer { get; }

    /// <summary>Begins a text.</summary>
    internal void StartText()
    {
        _counted?.Start(Tokenizer.EndOfTextId);
        _contexts.AsSpan(1).Fill(Missing);
        if (_contexts.Length > 1)
            _contexts[1] = GetOrAdd(Root, NGramModel.StartId);
    }

    /// <summary>Gives the probability of a token.</summary>
    /// <param name="id">The token.</param>
    /// <param name="probability">The one that the model gives it.</param>
    internal double Predict(int id, double probability) => Mix(id, probability).Mixed;

    /// <summary>Gives the probability of the token that comes next, and reads it.</summary>
    /// <inheritdoc cref="Predict"/>
    internal double Read(int id, double probability)
    {
        Mixture mixture = Mix(id, probability);
        _gate[mixture.Matched, mixture.Followers].Learn(mixture, GateRate);
        Count(id);
        _counted?.Read(id);
        TokenCount++;
        return mixture.Mixed;
    }

    private Mixture Mix(int id, double probability)
    {
        double remembered = probability;
        var mixture = new Mixture { Network = probability, Left = 1 };
        for (int length = 0; length < _contexts.Length; length++)
        {
            Node context = _contexts[length] == Missing ? default : _nodes[_contexts[length]];
            int count = context.Total == 0 ? 0 : Find(_contexts[length], id) is var child and not Missing ? _nodes[child].Count : 0;
            double kept = Math.Max(0, count - Discount);
            double discounted = Discount * context.Followers;
            int followers = context.Followers;
            double total = context.Total;
            if (_counted is not null && length <= _counted.KnownLength && _counted.GetFollower(length, id) is var counted && counted.Followers > 0)
            {
                // What the shares leave tells how often the context was counted: left = D followers / count.
                double times = Discount * counted.Followers / Math.Max(counted.Left, 1e-6);
                kept += times * counted.Share;
                discounted += times * counted.Left;
                followers += counted.Followers;
                total += times;
            }

            if (total == 0)
                break;
            remembered = (kept + discounted * remembered) / total;
            mixture = mixture with { Matched = length, Followers = Math.Min(followers, MostFollowers), Left = discounted / total };
        }

        double part = _gate[mixture.Matched, mixture.Followers].GetPart(mixture.Left);
        return mixture with { Part = part, Remembered = remembered, Mixed = (1 - part) * probability + part * remembered };
    }

    // From the longest context to the shortest: it counts as far as the token is new, and all go on by it.
    private void Count(int id)
    {
        bool isNew = true;
        for (int k = _contexts.Length - 1; k >= 0; k--)
        {
            int context = _contexts[k];
            int node = context == Missing ? Missing : GetOrAdd(context, id);
            if (isNew && node != Missing)
            {
                Span<Node> nodes = CollectionsMarshal.AsSpan(_nodes);
                nodes[context].Total++;
                isNew = nodes[node].Count++ == 0;
                nodes[context].Followers += isNew ? 1 : 0;
            }

            if (k + 1 < _contexts.Length)
                _contexts[k + 1] = node;
        }
    }

    private int Find(int context, int id) => _children.GetValueOrDefault((context, id), Missing);

    // Missing where the limit is reached: from then on only what is known is counted.
    private int GetOrAdd(int context, int id)
    {
        if (_nodes.Count > _mostNGrams)
            return Find(context, id);
        ref int node = ref CollectionsMarshal.GetValueRefOrAddDefault(_children, (context, id), out bool exists);
        if (!exists)
        {
            node = _nodes.Count;
            _nodes.Add(default);
        }

        return node;
    }

    // An n-gram: how often it was counted, how often all n-grams that go on from it, and how many different ones do.
    private record struct Node(int Count, int Total, int Followers);

    private readonly record struct Mixture(int Matched, int Followers, double Left, double Network, double Remembered, double Part, double Mixed);

    // g = sigmoid(w[0] + w[1] left), left being what was discounted.
    private record struct GateWeights(double Bias, double Slope)
    {
        private const int FewTokens = 3;

        // Short n-grams know less than the model.
        public static GateWeights Create(int matched) => new(matched < FewTokens ? -1 : 0, 0);

        public readonly double GetPart(double left) => 1 / (1 + Math.Exp(-Bias - Slope * left));

        public void Learn(Mixture mixture, double rate)
        {
            double change = rate * (mixture.Remembered - mixture.Network) / mixture.Mixed * mixture.Part * (1 - mixture.Part);
            Bias += change;
            Slope += change * mixture.Left;
        }
    }
}
