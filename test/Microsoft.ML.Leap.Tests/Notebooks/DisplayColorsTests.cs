using System.Globalization;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class DisplayColorsTests
{
    /// <summary>By the formula of WCAG 2, which asks for 3 to 1 of graphics.</summary>
    [TestMethod]
    [DataRow("#ffffff")]
    [DataRow("#1e1e1e")]
    [DataRow("#111111")]
    public void Colors_OnABackground_HaveContrast(string background)
    {
        foreach (string color in (string[])[DisplayColors.First, DisplayColors.Second])
        {
            double[] lights = [.. ((string[])[color, background]).Select(Light).Order()];
            Assert.IsGreaterThanOrEqualTo(3.0, (lights[1] + 0.05) / (lights[0] + 0.05), $"{color} on {background}");
        }
    }

    private static double Light(string color)
    {
        double[] channels = [.. Enumerable.Range(0, 3)
            .Select(i => int.Parse(color.AsSpan(1 + 2 * i, 2), NumberStyles.HexNumber) / 255.0)
            .Select(channel => channel <= 0.03928 ? channel / 12.92 : Math.Pow((channel + 0.055) / 1.055, 2.4))];
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
    }
}
