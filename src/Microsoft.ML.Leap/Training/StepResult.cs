namespace Microsoft.ML.Leap;

/// <summary>What an optimizer step came to.</summary>
/// <param name="Loss">The mean loss of its tokens before it, in nats.</param>
/// <param name="GradientNorm">The Euclidean norm of the gradient before clipping.</param>
/// <param name="Tokens">The predicted tokens.</param>
/// <param name="IsTaken">Whether the weights were changed: not when the loss or the norm is not finite.</param>
internal readonly record struct StepResult(double Loss, double GradientNorm, long Tokens, bool IsTaken);
