namespace Microsoft.ML.Leap;

/// <summary>Takes what the output layer sees of a part of a sequence.</summary>
/// <param name="sequence">The sequence's number.</param>
/// <param name="firstToken">The part's first token in the sequence.</param>
/// <param name="tokenCount">The part's tokens.</param>
/// <param name="hidden">Hidden vectors after the last norm, [tokenCount, d]; good during the call.</param>
internal unsafe delegate void HiddenReader(int sequence, int firstToken, int tokenCount, float* hidden);

/// <summary>Takes what a layer computes of a part of a sequence.</summary>
/// <param name="layer">The layer.</param>
/// <param name="sequence">The sequence's number.</param>
/// <param name="firstToken">The part's first token in the sequence.</param>
/// <param name="tokenCount">The part's tokens.</param>
/// <param name="values">What the layer computed; good during the call.</param>
internal delegate void LayerReader(int layer, int sequence, int firstToken, int tokenCount, in LayerValues values);

/// <summary>Takes the predictions of a part of a sequence.</summary>
/// <param name="sequence">The sequence's number.</param>
/// <param name="firstToken">The part's first token in the sequence.</param>
/// <param name="predictions">One per token; all 0 where there is no target. Good during the call.</param>
internal delegate void PredictionReader(int sequence, int firstToken, ReadOnlySpan<TokenPrediction> predictions);

/// <summary>What the network makes of the token that follows.</summary>
/// <param name="Loss">The negative natural logarithm of the token's probability.</param>
/// <param name="Confidence">The natural logarithm of the greatest probability of any token, at most 0.</param>
internal readonly record struct TokenPrediction(double Loss, float Confidence);

/// <summary>What a layer computes of some tokens.</summary>
/// <param name="focus">Focus weights f, [tokens, H].</param>
/// <param name="gates">Gates a, [tokens, H].</param>
/// <param name="output">The block's output x, [tokens, d].</param>
internal readonly unsafe ref struct LayerValues(float* focus, float* gates, float* output)
{
    public float* Focus { get; } = focus;

    public float* Gates { get; } = gates;

    public float* Output { get; } = output;
}
