namespace Microsoft.ML.Leap;

/// <summary>Shows a <see cref="FocusReport"/> in a notebook, by the conventions of .NET Interactive.</summary>
internal sealed class FocusReportHtmlFormatter
{
#pragma warning disable CA1822 // Called on an instance, by their names.
    public string MimeType => "text/html";

    public bool Format(object instance, TextWriter writer)
    {
        if (instance is not FocusReport report)
            return false;
        writer.Write(FocusHtml.Frame(report));
        return true;
    }
#pragma warning restore CA1822
}
