namespace Microsoft.ML.Leap;

/// <summary>Two neighbouring tokens that become one.</summary>
internal readonly record struct BytePairMerge(int Left, int Right, int Id);
