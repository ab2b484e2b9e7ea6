namespace Microsoft.ML.Leap;

/// <summary>A text that a model has read, ready to be continued: what the network remembers of it, and the ids of its last tokens, 8,192 or a context
/// of them.</summary>
/// <remarks>
/// <para>Made by <see cref="LeapLanguageModel.CreateGenerationState(string, PositionPolicy)"/>. <see cref="Clone"/> forks a prompt into many continuations
/// without reading it again.</para>
/// <para>Not thread-safe; different states of one model may be used at once. Holds native memory until disposed, and must not be used once its
/// model is.</para>
/// </remarks>
public sealed class GenerationState : IDisposable
{
    // Nobody reads more, and sums of positions stay far from overflowing.
    private const long MostTokens = 1L << 48;

    private readonly LeapNetwork _network;
    private readonly LeapTokenizer _tokenizer;
    private readonly NetworkState _state;
    private readonly RecentTokens _recent;
    private readonly float[] _hidden;
    private int? _pending;
    private bool _disposed;

    internal GenerationState(LeapNetwork network, LeapTokenizer tokenizer, PositionPolicy policy)
        : this(network, tokenizer, policy, network.CreateState()) => Begin();

    private GenerationState(LeapNetwork network, LeapTokenizer tokenizer, PositionPolicy policy, NetworkState state)
    {
        _network = network;
        _tokenizer = tokenizer;
        _state = state;
        _recent = new RecentTokens(Math.Max(TextMemory.Reach, network.Config.ContextLength));
        _hidden = new float[network.Config.HiddenSize];
        PositionPolicy = policy;
    }

    /// <summary>Gets what happens to a text that reaches past <see cref="LeapConfig.ContextLength"/>.</summary>
    public PositionPolicy PositionPolicy { get; }

    /// <summary>Gets the number of tokens that were read, the end-of-text token before the text included.</summary>
    public long TokenCount { get; private set; }

    /// <summary>Gets the bytes that the state takes. They grow with the text as far as the ids of its last tokens do, to 4 bytes for each.</summary>
    public long SizeInBytes => _state.SizeInBytes + _recent.SizeInBytes + _hidden.Length * sizeof(float);

    /// <summary>Reads more text. It is encoded for itself: a word should not be cut in two.</summary>
    /// <param name="text">The text; empty for none.</param>
    /// <exception cref="ArgumentNullException"><paramref name="text"/> is <see langword="null"/>.</exception>
    /// <exception cref="InvalidOperationException">The text would reach past the context, and <see cref="PositionPolicy"/> is
    /// <see cref="PositionPolicy.Throw"/>; nothing of it is read then.</exception>
    /// <exception cref="ObjectDisposedException">The state or its model is disposed.</exception>
    public void Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Read([.. _tokenizer.Encode(text)]);
    }

    /// <summary>Forgets the text.</summary>
    /// <exception cref="ObjectDisposedException">The state or its model is disposed.</exception>
    public void Reset()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _state.Reset();
        _recent.Clear();
        _pending = null;
        TokenCount = 0;
        Begin();
    }

    /// <summary>Makes a state of its own that has read the same text.</summary>
    /// <returns>The copy; the caller disposes it.</returns>
    /// <exception cref="ObjectDisposedException">The state or its model is disposed.</exception>
    public GenerationState Clone()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var copy = new GenerationState(_network, _tokenizer, PositionPolicy, _state.Clone()) { TokenCount = TokenCount, _pending = _pending };
        copy._recent.CopyFrom(_recent);
        _hidden.CopyTo(copy._hidden, 0);
        return copy;
    }

    /// <summary>Writes the state; <see cref="LeapLanguageModel.LoadGenerationState"/> of the same model reads it.</summary>
    /// <param name="stream">Where to. It stays open.</param>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> is <see langword="null"/>.</exception>
    /// <exception cref="ObjectDisposedException">The state or its model is disposed.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ObjectDisposedException.ThrowIf(_disposed, this);
        GenerationStateFile.Write(stream, _network.GetFingerprint(ModelFingerprint.Compute), PositionPolicy, WriteFields);
    }

    /// <summary>Frees the state's memory.</summary>
    public void Dispose()
    {
        _disposed = true;
        _state.Dispose();
    }

    internal static GenerationState Load(Stream stream, LeapNetwork network, LeapTokenizer tokenizer)
    {
        NetworkState state = network.CreateState();
        try
        {
            return GenerationStateFile.Read(stream, network.GetFingerprint(ModelFingerprint.Compute), (reader, policy) =>
            {
                var loaded = new GenerationState(network, tokenizer, policy, state);
                loaded.ReadFields(reader);
                return loaded;
            });
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Gets the number of the text's tokens.</summary>
    internal long TextTokenCount => TokenCount - 1 + (_pending is null ? 0 : 1);

    /// <summary>Gives the last ids of the text, without the end-of-text token before it.</summary>
    internal int[] RecentIds()
    {
        bool hasStart = TokenCount <= _recent.Count;
        int[] ids = _recent.Last(_recent.Count - (hasStart ? 1 : 0));
        return _pending is int id ? [.. ids, id] : ids;
    }

    /// <summary>Gives the last ids that were read, at most <paramref name="count"/>, the end-of-text token before the text among
    /// them.</summary>
    internal int[] GetLastIds(int count) => _recent.Last(Math.Min(count, _recent.Count));

    /// <summary>Adds a token, which is read when it is needed.</summary>
    internal void Append(int id)
    {
        ReadPending();
        _pending = id;
    }

    /// <summary>Gets what the output layer sees of the last token that was read.</summary>
    internal float[] Hidden => _hidden;

    /// <summary>Gets whether the state is of a network.</summary>
    internal bool IsOf(LeapNetwork network) => _network == network;

    /// <summary>Reads the appended tokens of several states of one network.</summary>
    /// <returns>What kept each state from it; <see langword="null"/> where nothing did.</returns>
    internal static Exception?[] ReadAppended(LeapNetwork network, IReadOnlyList<GenerationState> states)
    {
        if (states.Count > 1)
        {
            GenerationState[] stepping = [.. states.Where(state => state is { _disposed: false, _pending: not null } && state.HasRoom(1))];
            if (stepping.Length > 1)
            {
                int[] ids = [.. stepping.Select(state => state._pending!.Value)];
                network.Step(ids, [.. stepping.Select(state => state._state)], [.. stepping.Select(state => state._hidden)]);
                for (int i = 0; i < ids.Length; i++)
                    stepping[i].HasRead([ids[i]]);
            }
        }

        // Those that begin a context anew, or cannot go on.
        var faults = new Exception?[states.Count];
        for (int i = 0; i < faults.Length; i++)
        {
            try
            {
                states[i].ReadPending();
            }
            catch (Exception e)
            {
                faults[i] = e;
            }
        }

        return faults;
    }

    internal void Read(int[] ids)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (ids.Length == 0)
            return;
        int[] next = _pending is int pending ? [pending, .. ids] : ids;
        if (Fits(next.Length))
            _network.Read(next, _state, _hidden);
        else
            Restart(next);
        HasRead(next);
    }

    private void Begin() => Read([_tokenizer.EndOfTextId]);

    private void HasRead(int[] ids)
    {
        _pending = null;
        _recent.Add(ids);
        TokenCount += ids.Length;
    }

    private void ReadPending()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_pending is not int id)
            return;
        _pending = null;
        try
        {
            Read([id]);
        }
        catch
        {
            _pending = id;
            throw;
        }
    }

    private bool HasRoom(int count) => !_network.Config.UsePositionEmbeddings || PositionPolicy == PositionPolicy.Clamp
        || _state.Position + count <= _network.Config.ContextLength;

    private bool Fits(int count)
    {
        if (HasRoom(count))
            return true;
        if (PositionPolicy == PositionPolicy.Restart)
            return false;
        throw new InvalidOperationException(
            $"The text has {_state.Position} tokens, and {count} more would reach past the model's context of {_network.Config.ContextLength}, where its learned " +
            "positions end. Set PositionPolicy to Restart or Clamp, ask for fewer tokens, or train with a greater ContextLength or without " +
            "UsePositionEmbeddings.");
    }

    // A token for which there is no position is read as the last of half a context; so is each that finds that one full again. Only what is
    // read since the last of those times counts.
    private void Restart(int[] ids)
    {
        int context = _network.Config.ContextLength;
        int stride = context + 1 - Math.Max(1, context / 2);
        long reach = _state.Position + ids.Length;
        long restarts = (reach - context + stride - 1) / stride;
        int length = (int)(reach - restarts * stride);
        int[] text = length <= ids.Length ? ids[^length..] : [.. _recent.Last(length - ids.Length), .. ids];
        _state.Reset();
        _network.Read(text, _state, _hidden);
    }

    private void WriteFields(BinaryWriter writer)
    {
        writer.Write(TokenCount);
        writer.Write(_pending ?? -1);
        int[] recent = _recent.Last(_recent.Count);
        writer.Write(recent.Length);
        foreach (int id in recent)
            writer.Write(id);
        foreach (float value in _hidden)
            writer.Write(value);
        _state.Write(writer);
    }

    private void ReadFields(BinaryReader reader)
    {
        TokenCount = reader.ReadInt64();
        if (TokenCount is < 1 or > MostTokens)
            throw new FormatException($"The state must have read from 1 to {MostTokens} tokens, but names {TokenCount}.");
        int pending = reader.ReadInt32();
        _pending = pending < 0 ? null : Checked(pending);
        int count = reader.ReadInt32();
        // Earlier versions wrote no more than a context.
        long least = Math.Min(TokenCount, _network.Config.ContextLength);
        if (count < least || count > Math.Min(TokenCount, _recent.Capacity))
            throw new FormatException($"The state must name at least the last {least} tokens of {TokenCount}, and at most {_recent.Capacity}, but names {count}.");
        for (int i = 0; i < count; i++)
            _recent.Add([Checked(reader.ReadInt32())]);
        for (int k = 0; k < _hidden.Length; k++)
            _hidden[k] = reader.ReadSingle();
        _state.Read(reader);
        bool isBounded = _network.Config.UsePositionEmbeddings && PositionPolicy != PositionPolicy.Clamp;
        long mostPositions = isBounded ? least : TokenCount;
        if (_state.Position > mostPositions)
            throw new FormatException($"The state's position must be at most {mostPositions}, but it is {_state.Position}.");
    }

    private int Checked(int id) => (uint)id < (uint)_tokenizer.VocabularySize
        ? id
        : throw new FormatException($"The state names a token {id}, but the vocabulary has {_tokenizer.VocabularySize}.");
}

/// <summary>What happens where a text reaches past <see cref="LeapConfig.ContextLength"/>, where learned positions end.</summary>
public enum PositionPolicy
{
    /// <summary>An <see cref="InvalidOperationException"/> says so.</summary>
    Throw,

    /// <summary>The last half of the context is read anew from the first position on, each time that the context is full: a token then sees
    /// between half a context and a whole one. The cost per token stays constant on average.</summary>
    Restart,

    /// <summary>Each further token is read at the last position, and sees all that came before.</summary>
    Clamp,
}
