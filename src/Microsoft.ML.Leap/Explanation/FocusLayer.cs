namespace Microsoft.ML.Leap;

/// <summary>What one layer's heads focused on in one sequence; arrays are [head][token].</summary>
internal sealed record FocusLayer(int Window, float[][] Weights, float[][] Gates, float[][] Focus);
