namespace Microsoft.ML.Leap;

/// <summary>One thread's pass over sequences and heads, one at a time.</summary>
internal interface IHeadPass : IDisposable
{
    /// <summary>Computes all tokens of a sequence's head.</summary>
    void Run(int sequence, int head);
}
