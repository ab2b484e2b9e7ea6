namespace Microsoft.ML.Leap;

/// <summary>A text that is being continued: where the network stands, and what is drawn from it.</summary>
internal sealed class Continuation(GenerationState state, GenerationRun run, int vocabularySize)
{
    private readonly float[] _logits = new float[vocabularySize];

    public bool IsFinished => run.IsFinished;

    public GenerationFinishReason FinishReason => run.FinishReason!.Value;

    /// <summary>Adds a token to each of several continuations of one network. What each gets does not depend on the others.</summary>
    public static GeneratedToken[] Advance(RecurrentNetwork network, IReadOnlyList<Continuation> continuations)
    {
        float[][] hidden = GenerationState.Hidden([.. continuations.Select(continuation => continuation.State)]);
        network.Logits(hidden, [.. continuations.Select(continuation => continuation._logits)]);
        var tokens = new GeneratedToken[continuations.Count];
        CpuWork.ForRanges(tokens.Length, 1, (i, _) => tokens[i] = continuations[(int)i].Draw());
        return tokens;
    }

    private GenerationState State => state;

    // The end of a text is no part of it: whoever goes on with the state goes on with the text.
    private GeneratedToken Draw()
    {
        GeneratedToken token = run.Advance(_logits);
        if (token.FinishReason != GenerationFinishReason.EndOfText)
            state.Append(token.Id);
        return token;
    }
}
