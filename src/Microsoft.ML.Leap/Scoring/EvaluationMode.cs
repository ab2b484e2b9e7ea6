namespace Microsoft.ML.Leap;

/// <summary>How much of the text before it a token is predicted from, where a text is longer than a block.</summary>
public enum EvaluationMode
{
    /// <summary>Blocks one after another, each read without those before it: a token at a block's start has little before it. The
    /// cheapest.</summary>
    Disjoint,

    /// <summary>Overlapping blocks, each <see cref="EvaluationOptions.Stride"/> tokens further on than the one before, of which it scores
    /// the tokens that are new: all but those of the first block have at least a block less a stride before them. Costs as many times
    /// <see cref="Disjoint"/> as the stride goes into the block.</summary>
    Strided,

    /// <summary>Blocks one after another, read in order, with the network's sums carried from each to the next: every token has all of the
    /// text before it, in the windows that the network sees, for the cost of <see cref="Disjoint"/> and in constant memory. Learned
    /// positions begin anew in each block: a network that has them was never trained so. One without them has no such limit.</summary>
    Carried,
}
