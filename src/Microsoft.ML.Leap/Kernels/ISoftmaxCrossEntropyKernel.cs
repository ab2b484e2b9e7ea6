namespace Microsoft.ML.Leap;

/// <summary>Cross-entropy of rows of logits on the CPU, whatever their storage and the processor's vectors.</summary>
internal unsafe interface ISoftmaxCrossEntropyKernel
{
    /// <summary>Writes the loss of each row in nats, [rows], and leaves the logits as they are.</summary>
    void RowLosses(double* losses);

    /// <summary>Returns the sum of the rows' losses in nats, and leaves the logits as they are.</summary>
    double Loss();

    /// <summary>Returns the sum of the rows' losses in nats, writes the gradients, times <paramref name="scale"/>, over the logits, and
    /// adds them to <paramref name="biasGradient"/>, [size].</summary>
    double LossAndGradients(float scale, float* biasGradient);
}
