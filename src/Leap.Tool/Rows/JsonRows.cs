using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Leap.Tool;

/// <summary>Files of JSON Lines: a JSON object on each line, in UTF-8.</summary>
internal static class JsonRows
{
    /// <summary>Reads the rows.</summary>
    /// <param name="part">The file, or a part of it.</param>
    /// <param name="textField">Finds the text.</param>
    /// <exception cref="FormatException">A line is no JSON object, or its text no string.</exception>
    public static IEnumerable<Row> Read(FilePart part, TextField textField)
    {
        using Stream? stream = part.OpenRows(isQuoted: false);
        if (stream is null)
            yield break;
        using var reader = new StreamReader(stream, RowReader.Utf8);
        for (long number = 1; reader.ReadLine() is string line; number++)
        {
            if (!string.IsNullOrWhiteSpace(line))
                yield return Parse(line, textField, part.IsFirst ? $"{part.File.Name}, line {number}" : $"{part.File.Name}, line {number} from byte {part.Start} on");
        }
    }

    private static Row Parse(string line, TextField textField, string place)
    {
        JsonElement json;
        try
        {
            json = JsonElement.Parse(line);
        }
        catch (JsonException e)
        {
            throw new FormatException($"{place}: no JSON, at byte {e.BytePositionInLine + 1}.", e);
        }

        if (json.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{place}: must be a JSON object, but is {Describe(json)}.");
        JsonElement text = textField.Find(json, place);
        if (text.ValueKind is not (JsonValueKind.String or JsonValueKind.Null))
            throw new FormatException($"{place}: the text must be a string or null, but is {Describe(text)}.");
        return new Row(text.GetString(), json.EnumerateObject().Select(field => new KeyValuePair<string, object?>(field.Name, field.Value)));
    }

    private static string Describe(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.Number => "a number",
        JsonValueKind.String => "a string",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };

    /// <summary>Writes rows, each by itself: they may have different fields.</summary>
    /// <param name="output">Where to; it stays open.</param>
    public sealed class Writer(TextWriter output) : RowWriter
    {
        // Other characters than ASCII stay readable.
        private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

        private readonly ArrayBufferWriter<byte> _line = new();

        public override void Write(Row row)
        {
            _line.ResetWrittenCount();
            using (var json = new Utf8JsonWriter(_line, Options))
            {
                json.WriteStartObject();
                foreach ((string name, object? value) in row.Fields)
                {
                    json.WritePropertyName(name);
                    WriteValue(json, value);
                }

                json.WriteEndObject();
            }

            output.Write(Encoding.UTF8.GetString(_line.WrittenSpan));
            output.Write('\n');
        }

        // JSON has no NaN and no infinity.
        private static void WriteValue(Utf8JsonWriter json, object? value)
        {
            switch (value)
            {
                case null or double.NaN or float.NaN:
                    json.WriteNullValue();
                    break;
                case JsonElement element:
                    element.WriteTo(json);
                    break;
                case bool flag:
                    json.WriteBooleanValue(flag);
                    break;
                case float number when float.IsFinite(number):
                    json.WriteNumberValue(number);
                    break;
                case double number when double.IsFinite(number):
                    json.WriteNumberValue(number);
                    break;
                case decimal number:
                    json.WriteNumberValue(number);
                    break;
                case sbyte or byte or short or ushort or int or uint or long:
                    json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture));
                    break;
                case ulong number:
                    json.WriteNumberValue(number);
                    break;
                default:
                    json.WriteStringValue(Row.Format(value));
                    break;
            }
        }
    }
}
