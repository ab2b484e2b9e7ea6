namespace Microsoft.ML.Leap;

/// <summary>Shows values of a type in a notebook, by the conventions of .NET Interactive: it is the source of the type's formatters, and
/// the only one of them.</summary>
/// <remarks>A notebook has a scheme of colours of its own, which a style sheet cannot ask for. So what is drawn takes its colours from
/// where it stands, adds none but those of <see cref="DisplayColors"/>, and has its styles inline, where they cannot touch the
/// notebook's.</remarks>
internal abstract class HtmlDisplay<T>
    where T : class
{
#pragma warning disable CA1822 // Called on an instance, by their names.
    public string MimeType => "text/html";

    public IEnumerable<object> CreateTypeFormatters() => [this];
#pragma warning restore CA1822

    public bool Format(object instance, TextWriter writer)
    {
        if (instance is not T value)
            return false;
        writer.Write(Draw(value));
        return true;
    }

    /// <summary>Draws a value as one HTML element.</summary>
    protected abstract string Draw(T value);
}
