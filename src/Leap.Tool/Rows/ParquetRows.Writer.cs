using System.Text.Json;
using Parquet;
using Parquet.Schema;

namespace Leap.Tool;

internal static partial class ParquetRows
{
    /// <summary>Writes rows that have the same fields, a row group at a time. A column's type is that of the table it comes from, or what fits
    /// the values of the first row group.</summary>
    /// <param name="output">Where to; it stays open.</param>
    /// <param name="known">Columns whose type is known; where there are no rows, the file has these.</param>
    public sealed class Writer(Stream output, IReadOnlyList<DataField> known) : RowWriter
    {
        private const int MostRows = 50_000;
        private const long MostCharacters = 1 << 25;

        private readonly List<object?[]> _rows = [];
        private string[]? _names;
        private DataField[]? _fields;
        private ParquetWriter? _writer;
        private long _characters;

        public override void Write(Row row)
        {
            KeyValuePair<string, object?>[] fields = [.. row.Fields];
            _names ??= [.. fields.Select(field => field.Key)];
            RequireSame(_names, fields);
            _rows.Add([.. fields.Select(field => Simplify(field.Value))]);
            _characters += row.Text?.Length ?? 0;
            if (_rows.Count == MostRows || _characters >= MostCharacters)
                WriteGroup();
        }

        public override void Complete()
        {
            if (_rows.Count > 0)
                WriteGroup();
            if (_writer is null && known.Count > 0)
                Begin([.. known]);
            if (_writer is null)
                throw new FormatException("There are no rows, and a Parquet file needs some to know its columns.");
            Wait(_writer.DisposeAsync().AsTask());
            _writer = null;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && _writer is not null)
                Wait(_writer.DisposeAsync().AsTask());
            base.Dispose(disposing);
        }

        private void WriteGroup()
        {
            if (_fields is null)
                Begin([.. _names!.Select((name, i) => known.FirstOrDefault(field => field.Name == name) ?? new DataField(name, FindType(i), true))]);
            using ParquetRowGroupWriter group = _writer!.CreateRowGroup();
            for (int i = 0; i < _fields!.Length; i++)
                WriteColumn(group, _fields[i], i);
            group.CompleteValidate();
            _rows.Clear();
            _characters = 0;
        }

        private void Begin(DataField[] fields)
        {
            _fields = fields;
            _writer = ParquetWriter.CreateAsync(new ParquetSchema(_fields.Cast<Field>()), output, null, false, default).GetAwaiter().GetResult();
        }

        private Type FindType(int column)
        {
            Type[] types = [.. _rows.Select(row => row[column]?.GetType()).OfType<Type>().Distinct()];
            if (types.Length == 1)
                return types[0];
            return types.Length > 0 && types.All(type => type == typeof(long) || type == typeof(double)) ? typeof(double) : typeof(string);
        }

        private void WriteColumn(ParquetRowGroupWriter group, DataField field, int column)
        {
            if (IsText(field))
            {
                string?[] texts = [.. _rows.Select(row => row[column] is null ? null : Row.Format(row[column]))];
                Wait(group.WriteAsync(field, texts!, null));
            }
            else if (IsBytes(field))
            {
                Wait(group.WriteAsync(field, (byte[][])[.. _rows.Select(row => (byte[])row[column]!)], null));
            }
            else
            {
                GetType().GetMethod(nameof(WriteValues), System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!
                    .MakeGenericMethod(field.ClrType).Invoke(this, System.Reflection.BindingFlags.DoNotWrapExceptions, null, [group, field, column], null);
            }
        }

        private void WriteValues<T>(ParquetRowGroupWriter group, DataField field, int column)
            where T : struct
        {
            if (field.IsNullable)
                Wait(group.WriteAsync<T>(field, (T?[])[.. _rows.Select(row => row[column] is null ? default(T?) : Convert<T>(row[column]!, field.Name))], null, null, default));
            else
                Wait(group.WriteAsync<T>(field, (T[])[.. _rows.Select(row => Convert<T>(row[column]!, field.Name))], null, null, default));
        }

        private static T Convert<T>(object value, string name)
            where T : struct => value switch
            {
                T fitting => fitting,
                long number when typeof(T) == typeof(double) => (T)(object)(double)number,
                _ => throw new FormatException(
                    $"The column '{name}' holds '{Row.Format(value)}' where its first rows hold {typeof(T).Name}. Write the rows as JSON Lines, with --to jsonl."),
            };

        // Of JSON.
        private static object? Simplify(object? value) => value switch
        {
            JsonElement { ValueKind: JsonValueKind.Null } => null,
            JsonElement { ValueKind: JsonValueKind.True } => true,
            JsonElement { ValueKind: JsonValueKind.False } => false,
            JsonElement { ValueKind: JsonValueKind.Number } number => number.TryGetInt64(out long integer) ? integer : number.GetDouble(),
            JsonElement json => Row.Format(json),
            _ => value,
        };

        private static void Wait(Task task) => task.GetAwaiter().GetResult();
    }
}
