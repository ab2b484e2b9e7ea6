using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>What a model focused on while it read a text: one weight per token, layer and head, and how each token was predicted.</summary>
/// <remarks>
/// <para>In layer l, head h gives token j the focus weight f_j > 0, whoever looks. Position i receives the mean of the tokens in its window,
/// j's share of it being <c>f_j / (sum of f in window i)</c>, times a gate a_i between 0 and 1. These are the network's own numbers, not an
/// estimate of them. Token 0 is the end-of-text start; it takes shares like any other.</para>
/// <para>The aggregates ("focus") of a head: <c>focus_j = mean over the positions i that see j of a_i * c_i * f_j / S_i</c>, with c_i the
/// number of tokens in window i and S_i their sum of f: j's share of what the head let through, as a multiple of an even part. 1 is the
/// focus of an even mean behind an open gate; the least is 0. A layer's is the mean of its heads', the whole model's the mean of its
/// layers'. With a prompt, only the positions from which the continuation is predicted count; a token that none of them sees has 0.</para>
/// <para>With forget gates (<see cref="LeapConfig.UseForgetGates"/>) there is no window: position i sees token j as far as the gates of the positions
/// after j, up to i, keep it, which is the product of their k. f_j counts that much less in the share and in S_i, c_i is the sum of the products
/// alone, and the mean over the positions is weighted by them.</para>
/// <para>With short convolutions (<see cref="LeapConfig.ConvolutionSize"/> over 1) a token's weight, like its value and its gate, is computed from
/// it and the few tokens before it, in the first layer too: focus on a token is then focus on the end of that short run of tokens.</para>
/// <para>Immutable, and therefore thread-safe; it outlives the model.</para>
/// </remarks>
[TypeFormatterSource(typeof(FocusReportDisplay))]
public sealed class FocusReport
{
    private readonly FocusLayer[] _layers;

    internal FocusReport(string text, IReadOnlyList<FocusToken> tokens, FocusLayer[] layers, int promptTokenCount)
    {
        Text = text;
        Tokens = tokens;
        _layers = layers;
        PromptTokenCount = promptTokenCount;
        WindowSizes = Array.AsReadOnly(layers.Select(layer => layer.Window).ToArray());
        Focus = Mean(Enumerable.Range(0, LayerCount).Select(layer => GetFocus(layer)));
    }

    /// <summary>Gets the text that was read: a prompt and its continuation put together.</summary>
    public string Text { get; }

    /// <summary>Gets the tokens, the end-of-text start first.</summary>
    public IReadOnlyList<FocusToken> Tokens { get; }

    /// <summary>Gets the number of tokens of the prompt, without the start; 0 where there is no prompt.</summary>
    public int PromptTokenCount { get; }

    /// <summary>Gets the number of layers.</summary>
    public int LayerCount => _layers.Length;

    /// <summary>Gets the number of heads of each layer.</summary>
    public int HeadCount => _layers[0].Weights.Length;

    /// <summary>Gets the window of each layer in tokens; the last position of a window is the one that looks.</summary>
    public IReadOnlyList<int> WindowSizes { get; }

    /// <summary>Gets the focus of each token over all layers and heads: at least 0; see the remarks for its definition.</summary>
    public IReadOnlyList<float> Focus { get; }

    /// <summary>Gets the focus of each token in a layer: the mean over its heads.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <returns>One number per token, at least 0.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer.</exception>
    public IReadOnlyList<float> GetFocus(int layer) => Mean(Layer(layer).Focus);

    /// <summary>Gets the focus of each token in a head.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    /// <returns>One number per token, at least 0.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer or head.</exception>
    public IReadOnlyList<float> GetFocus(int layer, int head) => Array.AsReadOnly(Layer(layer).Focus[Head(head)]);

    /// <summary>Gets the focus weight f of each token in a head.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    /// <returns>One number per token: over 0; only ratios of them matter.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer or head.</exception>
    public IReadOnlyList<float> GetWeights(int layer, int head) => Array.AsReadOnly(Layer(layer).Weights[Head(head)]);

    /// <summary>Gets the gate a of each position in a head: how much of the focused mean goes on.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    /// <returns>One number per token, from 0 to 1.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer or head.</exception>
    public IReadOnlyList<float> GetGates(int layer, int head) => Array.AsReadOnly(Layer(layer).Gates[Head(head)]);

    /// <summary>Gets what the forget gate k of each position in a head keeps of all that came before it.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    /// <returns>One number per token, from 0 to 1; 1 for all where the network has windows in place of forget gates.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer or head.</exception>
    public IReadOnlyList<float> GetKept(int layer, int head) => Array.AsReadOnly(Layer(layer).Kept[Head(head)]);

    /// <summary>Gets a token's share of the focus in the window of a position: an entry of the causal softmax.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    /// <param name="position">The token that looks, from 0.</param>
    /// <param name="token">The token that is looked at, from 0.</param>
    /// <returns>From 0 to 1; 0 for a token outside the window. Costs the window's length.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer, head or token.</exception>
    public double GetShare(int layer, int head, int position, int token)
    {
        double[] shares = GetShares(layer, head, position);
        RequireBelow(token, Tokens.Count, nameof(token));
        return shares[token];
    }

    /// <summary>Gets each token's share of the focus in the window of a position: a row of the causal softmax.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="head">The head, from 0.</param>
    /// <param name="position">The token that looks, from 0.</param>
    /// <returns>One number per token of the report, of sum 1; 0 outside the window. Computed anew at each call.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer, head or token.</exception>
    public double[] GetShares(int layer, int head, int position)
    {
        FocusLayer chosen = Layer(layer);
        float[] weights = chosen.Weights[Head(head)];
        float[] gates = chosen.Kept[head];
        RequireBelow(position, Tokens.Count, nameof(position));
        double[] shares = new double[Tokens.Count];
        double kept = 1;
        double sum = 0;
        int first = Math.Max(0, position - chosen.Window + 1);
        for (int j = position; j >= first; j--)
        {
            shares[j] = kept * weights[j];
            sum += shares[j];
            kept *= gates[j];
        }

        for (int j = first; j <= position; j++)
            shares[j] /= sum;
        return shares;
    }

    /// <summary>Gives the report as JSON; see <see cref="WriteJson"/>.</summary>
    /// <returns>Indented JSON.</returns>
    public string ToJson()
    {
        using var stream = new MemoryStream();
        WriteJson(stream);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    /// <summary>Writes the report as JSON in UTF-8: <c>text</c>, <c>promptTokenCount</c>, <c>focus</c>, <c>tokens</c> with <c>id</c>, <c>text</c>,
    /// <c>start</c>, <c>length</c>, <c>isContinuation</c>, <c>logLikelihood</c> (nats) and <c>surprise</c> (bits; both null for the start), and
    /// <c>layers</c> with <c>window</c>, <c>focus</c> and <c>heads</c>, each with <c>weights</c>, <c>gates</c>, <c>kept</c> and <c>focus</c>.</summary>
    /// <param name="stream">Where to. It stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is <see langword="null"/>.</exception>
    public void WriteJson(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        FocusJson.Write(stream, this, isIndented: true);
    }

    /// <summary>Draws the report as an HTML page that loads nothing from outside: the text coloured by focus, its surprise below it, a choice of
    /// layer and head, and the shares of the token that is pointed at. In light or dark, as the reader prefers.</summary>
    /// <returns>The page.</returns>
    public string ToHtml() => FocusHtml.Page(this);

    /// <summary>Writes the page of <see cref="ToHtml"/> to a file in UTF-8.</summary>
    /// <param name="path">The file; replaced where it exists.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public void SaveHtml(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        File.WriteAllText(path, ToHtml());
    }

    /// <summary>Draws the report as an SVG, 820 wide: the text on colours of <see cref="Focus"/>, below each token a bar of its surprise.</summary>
    /// <returns>The SVG.</returns>
    public string ToSvg() => FocusSvg.Draw(this);

    /// <summary>Writes the SVG of <see cref="ToSvg"/> to a file in UTF-8.</summary>
    /// <param name="path">The file; replaced where it exists.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public void SaveSvg(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        File.WriteAllText(path, ToSvg());
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        IEnumerable<string> most = Tokens.Skip(1).OrderByDescending(token => Focus[token.Index]).Take(5)
            .Select(token => $"'{FocusDisplay.Describe(this, token)}' {DisplayText.Number(Focus[token.Index], "0.00")}");
        return $"focus of {Tokens.Count} tokens in {LayerCount} layers of {HeadCount} heads{(Tokens.Count > 1 ? $"; most on {string.Join(", ", most)}" : "")}";
    }

    private FocusLayer Layer(int layer)
    {
        RequireBelow(layer, LayerCount, nameof(layer));
        return _layers[layer];
    }

    private int Head(int head)
    {
        RequireBelow(head, HeadCount, nameof(head));
        return head;
    }

    private static void RequireBelow(int value, int count, string name)
    {
        if ((uint)value >= (uint)count)
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least 0 and below {count}.");
    }

    private static IReadOnlyList<float> Mean(IEnumerable<IReadOnlyList<float>> rows)
    {
        IReadOnlyList<float>[] all = [.. rows];
        float[] mean = new float[all[0].Count];
        for (int j = 0; j < mean.Length; j++)
            mean[j] = (float)all.Average(row => (double)row[j]);
        return Array.AsReadOnly(mean);
    }
}

/// <summary>A token of a <see cref="FocusReport"/>.</summary>
public sealed record FocusToken
{
    /// <summary>Gets the token's place in the report. 0 is the end-of-text start, which the model reads before every text.</summary>
    public required int Index { get; init; }

    /// <summary>Gets the token's id.</summary>
    public required int Id { get; init; }

    /// <summary>Gets the token's text for display: <see cref="LeapTokenizer.GetTokenText"/>'s.</summary>
    public required string Text { get; init; }

    /// <summary>Gets where the token's text starts in <see cref="FocusReport.Text"/>, in UTF-16 units.</summary>
    public required int Start { get; init; }

    /// <summary>Gets the number of UTF-16 units. 0 for the start, and for a token that only continues a character that another one began:
    /// spans never overlap.</summary>
    public required int Length { get; init; }

    /// <summary>Gets the natural logarithm of the probability that the model gave the token: nats, at most 0; NaN for the start, which
    /// nothing predicts.</summary>
    public required double LogLikelihood { get; init; }

    /// <summary>Gets how much of the token's probability came from what was counted, the n-grams of the training texts and what the text itself said
    /// before: from 0 to 1; 0 of a model without a memory, and NaN for the start.</summary>
    /// <remarks>Of <c>p ~ p(network)^a p(memory)^b</c> it is <c>b p(memory) / (a p(network) + b p(memory))</c>; what the text's own words add to p counts
    /// besides.</remarks>
    public double MemoryShare { get; init; }

    /// <summary>Gets whether the token belongs to the continuation of a prompt.</summary>
    public required bool IsContinuation { get; init; }

    /// <summary>Gets how much the token surprised the model: -<see cref="LogLikelihood"/> / ln 2, in bits, at least 0; NaN for the start.</summary>
    public double Surprisal => -LogLikelihood / Math.Log(2);

    /// <summary>Gets whether this is the end-of-text start and no part of the text.</summary>
    public bool IsStart => Index == 0;
}
