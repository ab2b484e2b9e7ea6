using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>Columns of a <see cref="SchemaShape"/>, which ML.NET lets only its own assemblies make.</summary>
internal static class SchemaColumns
{
    /// <summary>Promises a column.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="kind">Scalar, vector of known size, or of variable size.</param>
    /// <param name="itemType">The type of an item; for a key, the type under it.</param>
    /// <param name="isKey">Whether items are keys.</param>
    /// <param name="annotations">The annotations it will have; <see langword="null"/> for none.</param>
    public static SchemaShape.Column Create(
        string name,
        SchemaShape.Column.VectorKind kind,
        DataViewType itemType,
        bool isKey = false,
        SchemaShape? annotations = null) => new(name, kind, itemType, isKey, annotations);

    /// <summary>Promises a column of a type, without annotations.</summary>
    public static SchemaShape.Column Create(string name, DataViewType type) => type switch
    {
        VectorDataViewType { IsKnownSize: true } vector => Create(name, SchemaShape.Column.VectorKind.Vector, vector.ItemType),
        VectorDataViewType vector => Create(name, SchemaShape.Column.VectorKind.VariableVector, vector.ItemType),
        _ => Create(name, SchemaShape.Column.VectorKind.Scalar, type),
    };

    /// <summary>Finds a column by name.</summary>
    public static bool TryFind(SchemaShape schema, string name, out SchemaShape.Column column)
    {
        foreach (SchemaShape.Column candidate in schema)
        {
            if (candidate.Name == name)
            {
                column = candidate;
                return true;
            }
        }

        column = default;
        return false;
    }

    /// <summary>Names a column's type as messages do, for example <c>vector of Single</c>.</summary>
    public static string Describe(SchemaShape.Column column)
    {
        string item = column.IsKey ? $"key of {column.ItemType}" : column.ItemType.ToString()!;
        return column.Kind switch
        {
            SchemaShape.Column.VectorKind.Scalar => item,
            SchemaShape.Column.VectorKind.Vector => $"vector of {item}",
            _ => $"variable-size vector of {item}",
        };
    }
}
