namespace Microsoft.ML.Leap;

/// <summary>Makes the formatters of <see cref="FocusReport"/>, by the conventions of .NET Interactive.</summary>
internal sealed class FocusReportFormatterSource
{
#pragma warning disable CA1822 // Called on an instance, by its name.
    public IEnumerable<object> CreateTypeFormatters() => [new FocusReportHtmlFormatter()];
#pragma warning restore CA1822
}
