using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>Checks that a schema has the text column, a scalar of type Text.</summary>
internal static class TextColumn
{
    public static void Check(DataViewSchema schema, string name, string parameter)
    {
        DataViewSchema.Column column = schema.GetColumnOrNull(name) ?? throw Missing(name, schema.Select(column => column.Name), parameter);
        if (column.Type is not TextDataViewType)
            throw NotText(name, column.Type.ToString()!, parameter);
    }

    public static void Check(SchemaShape shape, string name, string parameter)
    {
        SchemaShape.Column[] found = [.. shape.Where(column => column.Name == name)];
        if (found.Length == 0)
            throw Missing(name, shape.Select(column => column.Name), parameter);
        if (found[^1].Kind != SchemaShape.Column.VectorKind.Scalar || found[^1].ItemType is not TextDataViewType)
            throw NotText(name, $"{found[^1].Kind} of {found[^1].ItemType}", parameter);
    }

    private static ArgumentOutOfRangeException Missing(string name, IEnumerable<string> columns, string parameter) =>
        new(parameter, name, $"There is no text column '{name}'; the data have {string.Join(", ", columns.Distinct().Select(column => $"'{column}'"))}.");

    private static ArgumentOutOfRangeException NotText(string name, string type, string parameter) =>
        new(parameter, type, $"Column '{name}' must hold a text (a scalar of type Text), but it holds {type}.");
}
