using System.Buffers;
using System.Text;
using nietras.SeparatedValues;

namespace Leap.Tool;

/// <summary>Files of fields with a character between them, and names in the first row (RFC 4180).</summary>
/// <param name="delimiter">The character: a comma or a tab.</param>
internal sealed class DelimitedRows(char delimiter)
{
    private readonly Sep _separator = new(delimiter);

    /// <summary>Reads the rows.</summary>
    /// <param name="part">The file, or a part of it.</param>
    /// <param name="textField">Finds the text.</param>
    /// <param name="encoding">The file's.</param>
    /// <exception cref="FormatException">A row has other fields than the header, or a quote that does not end.</exception>
    public IEnumerable<Row> Read(FilePart part, TextField textField, Encoding encoding)
    {
        using Stream? stream = part.OpenRows(isQuoted: true);
        if (stream is null)
            yield break;
        using SepReader reader = Open(stream, encoding);
        string[]? names = part.IsFirst ? ReadFields(reader, part.File) : ReadHeader(part.File, encoding);
        if (names is null)
            yield break;
        int text = textField.Find(names, part.File.Name);
        while (ReadFields(reader, part.File) is string[] fields)
        {
            if (fields.Length != names.Length)
            {
                throw new FormatException(
                    $"{part.File.Name}, line {reader.Current.LineNumberFrom}: the row has {fields.Length} fields, the header {names.Length}.");
            }

            yield return new Row(fields[text], names.Zip(fields, (name, field) => new KeyValuePair<string, object?>(name, field)));
        }
    }

    private string[]? ReadHeader(InputFile file, Encoding encoding)
    {
        using Stream stream = file.Open();
        using SepReader reader = Open(stream, encoding);
        return ReadFields(reader, file);
    }

    private SepReader Open(Stream stream, Encoding encoding) => _separator
        .Reader(options => options with { HasHeader = false, Unescape = true, DisableColCountCheck = true })
        .From(new StreamReader(stream, encoding));

    // A line with nothing in it is no row.
    private static string[]? ReadFields(SepReader reader, InputFile file)
    {
        while (reader.MoveNext())
        {
            SepReader.Row row = reader.Current;
            if (row.ColCount == 1 && row.Span.IsEmpty)
                continue;

            // Whatever is between quotes is one row: the file ended before the last one did.
            if (row.Span.Count('"') % 2 != 0)
            {
                throw new FormatException(
                    $"{file.Name}, line {row.LineNumberFrom}: a quote in this row does not end, so that all lines after it would belong to the row. " +
                    "Close it, or write a quote of the text as two, in a field between quotes.");
            }

            string[] fields = new string[row.ColCount];
            for (int i = 0; i < fields.Length; i++)
                fields[i] = row[i].ToString();
            return fields;
        }

        return null;
    }

    /// <summary>Writes rows that have the same fields.</summary>
    /// <param name="output">Where to; it stays open.</param>
    /// <param name="delimiter">The character between fields.</param>
    /// <param name="writesHeader">Whether the fields' names come first.</param>
    public sealed class Writer(TextWriter output, char delimiter, bool writesHeader) : RowWriter
    {
        private readonly SearchValues<char> _special = SearchValues.Create(delimiter, '"', '\r', '\n');
        private string[]? _names;

        public override void Write(Row row)
        {
            KeyValuePair<string, object?>[] fields = [.. row.Fields];
            if (_names is null)
            {
                _names = [.. fields.Select(field => field.Key)];
                if (writesHeader)
                    WriteLine(_names);
            }

            RequireSame(_names, fields);
            WriteLine(fields.Select(field => Row.Format(field.Value)));
        }

        private void WriteLine(IEnumerable<string> values)
        {
            string separator = "";
            foreach (string value in values)
            {
                output.Write(separator);
                output.Write(value.AsSpan().ContainsAny(_special) ? $"\"{value.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : value);
                separator = delimiter == ',' ? "," : "\t";
            }

            output.Write('\n');
        }
    }
}
