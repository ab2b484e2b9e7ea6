namespace Microsoft.ML.Leap;

/// <summary>Colours of lines and areas that have a contrast of at least 3 to 1 both to white and to the dark greys of notebooks.</summary>
internal static class DisplayColors
{
    public const string First = "#3b82f6";
    public const string Second = "#d97706";
}
