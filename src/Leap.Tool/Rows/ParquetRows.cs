using Parquet;
using Parquet.Schema;

namespace Leap.Tool;

/// <summary>Apache Parquet files, one row group after another.</summary>
internal static partial class ParquetRows
{
    /// <summary>Reads the rows. A column of lists, maps or structures is no field.</summary>
    /// <param name="part">The file, or a part of it: the row groups that begin there.</param>
    /// <param name="textField">Finds the text.</param>
    /// <exception cref="FormatException">The file is no Parquet, or the text's column holds no strings.</exception>
    public static IEnumerable<Row> Read(FilePart part, TextField textField)
    {
        using Stream file = part.File.Open();
        ParquetReader reader = Open(file, part.File.Name);
        try
        {
            DataField[] fields = [.. reader.Schema.Fields.OfType<DataField>().Where(field => !field.IsArray)];
            int text = textField.Find([.. fields.Select(field => field.Name)], part.File.Name);
            if (!IsText(fields[text]))
                throw new FormatException($"{part.File.Name}: the column '{fields[text].Name}' holds {fields[text].ClrType.Name}, and no text.");
            foreach (ParquetRowGroupReader group in reader.RowGroups.Where(group => IsIn(group, part)))
            {
                Array[] columns = [.. fields.Select(field => ReadColumn(group, field))];
                for (int i = 0; i < group.RowCount; i++)
                {
                    int row = i;
                    yield return new Row(
                        (string?)columns[text].GetValue(i),
                        fields.Select((field, column) => new KeyValuePair<string, object?>(field.Name, columns[column].GetValue(row))));
                }
            }
        }
        finally
        {
            reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>Gives the columns that <see cref="Read"/> makes fields of.</summary>
    public static IReadOnlyList<DataField> FindColumns(InputFile file) => [.. ReadColumns(file).OfType<DataField>().Where(field => !field.IsArray)];

    /// <summary>Gives the names of the columns that <see cref="Read"/> leaves out.</summary>
    public static IReadOnlyList<string> FindNestedColumns(InputFile file) =>
        [.. ReadColumns(file).Where(field => field is not DataField { IsArray: false }).Select(field => field.Name)];

    private static IReadOnlyList<Field> ReadColumns(InputFile file)
    {
        using Stream stream = file.Open();
        ParquetReader reader = Open(stream, file.Name);
        try
        {
            return reader.Schema.Fields;
        }
        finally
        {
            reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private static ParquetReader Open(Stream file, string name)
    {
        try
        {
            return ParquetReader.CreateAsync(file, null, leaveStreamOpen: true, default).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is ParquetException or IOException or InvalidDataException or ArgumentException or InvalidOperationException)
        {
            throw new FormatException($"{name} is no Parquet file: {e.Message}", e);
        }
    }

    // Where its first page begins.
    private static bool IsIn(ParquetRowGroupReader group, FilePart part)
    {
        long place = group.RowGroup.Columns.Min(column => column.MetaData?.DictionaryPageOffset ?? column.MetaData?.DataPageOffset ?? 0);
        return place >= part.Start && place < part.End;
    }

    // The library's schemas have either type.
    private static bool IsText(DataField field) => field.ClrType == typeof(string) || field.ClrType == typeof(ReadOnlyMemory<char>);

    private static bool IsBytes(DataField field) => field.ClrType == typeof(byte[]) || field.ClrType == typeof(ReadOnlyMemory<byte>);

    private static Array ReadColumn(ParquetRowGroupReader group, DataField field)
    {
        int count = checked((int)group.RowCount);
        return field.ClrType switch
        {
            _ when IsText(field) => Fill(new string?[count], rows => group.ReadAsync(field, rows!)),
            _ when IsBytes(field) => Fill(new byte[]?[count], rows => group.ReadAsync(field, rows!)),
            Type type when type == typeof(bool) => Values<bool>(),
            Type type when type == typeof(byte) => Values<byte>(),
            Type type when type == typeof(sbyte) => Values<sbyte>(),
            Type type when type == typeof(short) => Values<short>(),
            Type type when type == typeof(ushort) => Values<ushort>(),
            Type type when type == typeof(int) => Values<int>(),
            Type type when type == typeof(uint) => Values<uint>(),
            Type type when type == typeof(long) => Values<long>(),
            Type type when type == typeof(ulong) => Values<ulong>(),
            Type type when type == typeof(float) => Values<float>(),
            Type type when type == typeof(double) => Values<double>(),
            Type type when type == typeof(decimal) => Values<decimal>(),
            Type type when type == typeof(DateTime) => Values<DateTime>(),
            Type type when type == typeof(DateOnly) => Values<DateOnly>(),
            Type type when type == typeof(TimeOnly) => Values<TimeOnly>(),
            Type type when type == typeof(TimeSpan) => Values<TimeSpan>(),
            Type type when type == typeof(Guid) => Values<Guid>(),
            _ => throw new FormatException($"The column '{field.Name}' holds {field.ClrType.Name}, which this tool cannot carry over."),
        };

        Array Values<T>()
            where T : struct => field.IsNullable
            ? Fill(new T?[count], rows => group.ReadAsync<T>(field, rows))
            : Fill(new T[count], rows => group.ReadAsync<T>(field, rows));
    }

    private static T[] Fill<T>(T[] rows, Func<Memory<T>, ValueTask> read)
    {
        read(rows).AsTask().GetAwaiter().GetResult();
        return rows;
    }
}
