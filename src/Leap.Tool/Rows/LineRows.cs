using System.Text;

namespace Leap.Tool;

/// <summary>Files of plain text.</summary>
internal static class LineRows
{
    private const string FieldName = "text";

    /// <summary>Reads each line as a row.</summary>
    public static IEnumerable<Row> Read(FilePart part, Encoding encoding)
    {
        using Stream? stream = part.OpenRows(isQuoted: false);
        if (stream is null)
            yield break;
        using var reader = new StreamReader(stream, encoding);
        while (reader.ReadLine() is string line)
            yield return MakeRow(line);
    }

    /// <summary>Reads a whole file as one row.</summary>
    public static IEnumerable<Row> ReadDocument(FilePart part, Encoding encoding)
    {
        if (!part.IsFirst)
            yield break;
        using var reader = new StreamReader(part.File.Open(), encoding);
        yield return MakeRow(reader.ReadToEnd());
    }

    private static Row MakeRow(string text) => new(text, [new(FieldName, text)]);
}
