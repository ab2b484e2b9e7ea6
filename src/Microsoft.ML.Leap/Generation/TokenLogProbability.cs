namespace Microsoft.ML.Leap;

/// <summary>A token that might have come, and how likely the model found it.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Text">Its text, for display, as <see cref="LeapTokenizer.GetTokenText"/> gives it.</param>
/// <param name="LogProbability">Natural logarithm of its probability by the model alone, before penalties, bias and temperature.</param>
public sealed record TokenLogProbability(int Id, string Text, double LogProbability);
