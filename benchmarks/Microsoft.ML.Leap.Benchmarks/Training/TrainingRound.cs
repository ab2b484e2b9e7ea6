namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>One round of the training benchmark: seconds of a step of each contestant, taken one after the other.</summary>
internal sealed record TrainingRound(
    MatrixRate Rate, double Leap, double Gpt2, double NaiveTunedAllocator, double Naive, PartTimes Parts);
