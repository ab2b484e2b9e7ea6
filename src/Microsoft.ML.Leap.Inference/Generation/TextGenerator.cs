using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Leap;

/// <summary>Continues texts token by token, each token at the same cost. Thread-safe.</summary>
internal sealed class TextGenerator(LeapNetwork network, ModelMemory? memory, LeapTokenizer tokenizer)
{
    // Texts that are continued together: more gain little, and each needs logits of its own.
    private const int TextsAtOnce = 32;

    private readonly StepQueue _steps = new(batch => Continuation.Advance(network, batch), TextsAtOnce);

    /// <summary>Reads a prompt after an end-of-text token, as documents began in training.</summary>
    public GenerationState Read(IReadOnlyList<int> promptIds, PositionPolicy policy)
    {
        var state = new GenerationState(network, tokenizer, policy);
        try
        {
            state.Read([.. promptIds]);
            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    public GenerationState Load(Stream stream) => GenerationState.Load(stream, network, tokenizer);

    /// <summary>Continues one text, and leaves its state at the end of it.</summary>
    public GenerationResult Complete(GenerationState state, GenerationOptions options, int seed, CancellationToken cancellationToken)
    {
        int promptTokens = (int)Math.Min(int.MaxValue, state.TextTokenCount);
        Continuation continuation = Start(state, options, seed);
        List<GeneratedToken> tokens = [];
        while (!continuation.IsFinished)
        {
            cancellationToken.ThrowIfCancellationRequested();
            tokens.Add(Continuation.Advance(network, [continuation])[0].GetToken());
        }

        return Result(tokens, promptTokens, continuation);
    }

    /// <summary>Continues many texts, some at a time: where one ends, the next begins.</summary>
    public GenerationResult[] Complete(IReadOnlyList<(IReadOnlyList<int> Ids, GenerationOptions Options, int Seed)> texts, CancellationToken cancellationToken)
    {
        var results = new GenerationResult[texts.Count];
        List<Job> active = [];
        int next = 0;
        try
        {
            while (next < texts.Count || active.Count > 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                for (; active.Count < TextsAtOnce && next < texts.Count; next++)
                    active.Add(StartJob(next, texts[next].Ids, texts[next].Options, texts[next].Seed));
                foreach (Job job in active.Where(job => job.Continuation.IsFinished))
                {
                    results[job.Index] = Result(job.Tokens, texts[job.Index].Ids.Count, job.Continuation);
                    job.State.Dispose();
                }

                active.RemoveAll(job => job.Continuation.IsFinished);
                if (active.Count > 0)
                    Advance(active);
            }
        }
        finally
        {
            foreach (Job job in active)
                job.State.Dispose();
        }

        return results;
    }

    /// <summary>Continues a text as its tokens are asked for, in steps that it shares with other streams. Nothing of the caller's thread is held
    /// between them.</summary>
    /// <param name="read">Gives the state, on another thread.</param>
    /// <param name="ownsState">Whether to dispose the state at the end.</param>
    /// <param name="options">How to continue.</param>
    /// <param name="cancellationToken">Ends the stream with an exception.</param>
    public async IAsyncEnumerable<GeneratedToken> Stream(
        Func<GenerationState> read,
        bool ownsState,
        GenerationOptions options,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        GenerationState state = await Task.Run(read, cancellationToken).ConfigureAwait(false);
        try
        {
            Continuation continuation = Start(state, options, options.Seed ?? Random.Shared.Next());
            while (!continuation.IsFinished)
                yield return await _steps.StepAsync(continuation, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (ownsState)
                state.Dispose();
        }
    }

    private Continuation Start(GenerationState state, GenerationOptions options, int seed)
    {
        if (!state.IsOf(network))
            throw new ArgumentException("The state was made by another model; make one by this model's CreateGenerationState.", nameof(state));
        return new Continuation(state, new GenerationRun(tokenizer, options, seed, state.RecentIds()), memory, network.Config.VocabularySize);
    }

    private Job StartJob(int index, IReadOnlyList<int> ids, GenerationOptions options, int seed)
    {
        GenerationState state = Read(ids, options.PositionPolicy);
        try
        {
            return new Job(index, state, Start(state, options, seed), []);
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    private void Advance(List<Job> active)
    {
        ContinuationStep[] steps = Continuation.Advance(network, [.. active.Select(job => job.Continuation)]);
        for (int i = 0; i < steps.Length; i++)
            active[i].Tokens.Add(steps[i].GetToken());
    }

    private static GenerationResult Result(List<GeneratedToken> tokens, int promptTokens, Continuation continuation) =>
        new(string.Concat(tokens.Select(token => token.Text)), tokens, promptTokens, continuation.FinishReason);

    private sealed record Job(int Index, GenerationState State, Continuation Continuation, List<GeneratedToken> Tokens);
}

/// <summary>A text that is being continued: where the network stands, and what is drawn from it.</summary>
internal sealed class Continuation(GenerationState state, GenerationRun run, ModelMemory? memory, int vocabularySize)
{
    // What a draw takes per token of the vocabulary, in multiplications of a product.
    private const int DrawCost = 64;

    private readonly float[] _logits = new float[vocabularySize];
    private readonly TextMemory? _textMemory = memory?.CreateTextMemory();

    // With what the text itself said mixed in: whoever draws by that repeats himself (docs/research.md).
    private readonly float[] _scored = new float[memory is null ? 0 : vocabularySize];

    public bool IsFinished => run.IsFinished;

    public GenerationFinishReason FinishReason => run.FinishReason!.Value;

    /// <summary>Adds a token to each of several continuations of one network. What each gets does not depend on the others, nor does what keeps it from
    /// a token.</summary>
    public static ContinuationStep[] Advance(LeapNetwork network, IReadOnlyList<Continuation> continuations)
    {
        var steps = new ContinuationStep[continuations.Count];
        Exception?[] faults = GenerationState.ReadAppended(network, [.. continuations.Select(continuation => continuation.State)]);
        int[] able = [.. Enumerable.Range(0, steps.Length).Where(i => faults[i] is null)];
        if (able.Length > 0)
            network.Logits([.. able.Select(i => continuations[i].State.Hidden)], [.. able.Select(i => continuations[i]._logits)]);
        for (int i = 0; i < steps.Length; i++)
        {
            if (faults[i] is { } fault)
                steps[i] = new ContinuationStep(ExceptionDispatchInfo.Capture(fault));
        }

        network.Workers.For(able.Length, (long)able.Length * DrawCost * network.Config.VocabularySize, i => steps[able[i]] = continuations[able[i]].TryDraw());
        return steps;
    }

    private ContinuationStep TryDraw()
    {
        try
        {
            return new ContinuationStep(Draw());
        }
        catch (Exception e)
        {
            return new ContinuationStep(ExceptionDispatchInfo.Capture(e));
        }
    }

    private GenerationState State => state;

    // The end of a text is no part of it: whoever goes on with the state goes on with the text.
    private GeneratedToken Draw()
    {
        memory?.Mix(_logits, state.GetLastIds(memory.ContextLength));
        if (_textMemory is not null)
        {
            _logits.CopyTo(_scored, 0);
            _textMemory.Mix(_scored, state.GetLastIds(TextMemory.Reach));
        }

        GeneratedToken token = run.Advance(_logits, _scored);
        if (token.FinishReason != GenerationFinishReason.EndOfText)
            state.Append(token.Id);
        return token;
    }
}
