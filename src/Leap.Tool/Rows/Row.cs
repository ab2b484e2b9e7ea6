using System.Globalization;
using System.Text.Json;

namespace Leap.Tool;

/// <summary>A row of a file: the text that is trained on or scored, and all its fields by name, the text's own among them.</summary>
/// <param name="Text">The text; null where the row has none.</param>
/// <param name="Fields">The fields in their order. A value is null, a string, a boolean, a number, a date, bytes, or a <see cref="JsonElement"/>.</param>
internal sealed record Row(string? Text, IEnumerable<KeyValuePair<string, object?>> Fields)
{
    /// <summary>Gives a value as a text field shows it; an absent one is empty.</summary>
    public static string Format(object? value) => value switch
    {
        null => "",
        string text => text,
        bool flag => flag ? "true" : "false",
        float number => float.IsNaN(number) ? "" : number.ToString("R", CultureInfo.InvariantCulture),
        double number => double.IsNaN(number) ? "" : number.ToString("R", CultureInfo.InvariantCulture),
        DateTime time => time.ToString("O", CultureInfo.InvariantCulture),
        byte[] bytes => Convert.ToBase64String(bytes),
        JsonElement { ValueKind: JsonValueKind.String } json => json.GetString()!,
        JsonElement { ValueKind: JsonValueKind.Null } => "",
        JsonElement json => json.GetRawText(),
        IFormattable other => other.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };
}

/// <summary>How rows are laid out in a file.</summary>
internal enum RowFormat
{
    /// <summary>Text: each line is a row.</summary>
    Text,

    /// <summary>Text: each file is a row.</summary>
    Document,

    /// <summary>Fields with commas between them, and a header (RFC 4180).</summary>
    Csv,

    /// <summary>The same with tabs.</summary>
    Tsv,

    /// <summary>JSON Lines: each line is a JSON object.</summary>
    Jsonl,

    /// <summary>Apache Parquet.</summary>
    Parquet,
}

/// <summary>Finds the field that holds the text.</summary>
/// <param name="Name">What the user named; null for a field "text", or the only one.</param>
internal sealed record TextField(string? Name)
{
    private const string Usual = "text";

    /// <summary>Finds it among the columns of a table.</summary>
    /// <param name="names">The columns' names.</param>
    /// <param name="file">What the table is called in messages.</param>
    /// <exception cref="UsageException">There is no such column.</exception>
    public int Find(IReadOnlyList<string> names, string file)
    {
        for (int i = 0; i < names.Count; i++)
        {
            if (Name is null ? string.Equals(names[i], Usual, StringComparison.OrdinalIgnoreCase) : names[i] == Name)
                return i;
        }

        if (Name is null && names.Count == 1)
            return 0;
        throw new UsageException(Name is null
            ? $"{file} has the columns {List(names)}: say which one holds the text, with --column NAME."
            : $"{file} has no column '{Name}', but {List(names)}.");
    }

    /// <summary>Finds it in a JSON object.</summary>
    /// <param name="json">The object.</param>
    /// <param name="place">What the row is called in messages.</param>
    /// <exception cref="UsageException">There is no such field.</exception>
    public JsonElement Find(JsonElement json, string place)
    {
        if (json.TryGetProperty(Name ?? Usual, out JsonElement value))
            return value;
        string[] names = [.. json.EnumerateObject().Select(field => field.Name)];
        return json.GetProperty(names[Find(names, place)]);
    }

    private static string List(IReadOnlyList<string> names)
    {
        const int most = 20;
        return string.Join(", ", names.Take(most).Select(name => $"'{name}'")) + (names.Count > most ? ", ..." : "");
    }
}
