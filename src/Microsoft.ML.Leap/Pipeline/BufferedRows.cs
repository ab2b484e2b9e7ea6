using Microsoft.ML.Data;

namespace Microsoft.ML.Leap;

/// <summary>Walks the rows of a cursor some hundred behind it, so that what depends on several rows can be computed at once. There is one cursor, and each
/// value is read from it once: a source that can be read only once, or that differs from one reading to the next, gives each row its own values.</summary>
internal sealed class BufferedRows : IDisposable
{
    private const int MostRows = 512;
    private const int None = -1;

    private readonly DataViewRowCursor _input;
    private readonly Dictionary<int, ColumnBuffer> _columns;
    private readonly ValueGetter<DataViewRowId> _getId;
    private readonly (long Position, long Batch, DataViewRowId Id)[] _rows = new (long, long, DataViewRowId)[MostRows];
    private int _row = None;

    /// <param name="input">The cursor, which this object owns, before its first row.</param>
    /// <param name="columns">The columns to read, active in the cursor.</param>
    public BufferedRows(DataViewRowCursor input, IEnumerable<DataViewSchema.Column> columns)
    {
        _input = input;
        _getId = input.GetIdGetter();
        _columns = columns.ToDictionary(column => column.Index, column => ColumnBuffer.Create(input, column));
    }

    /// <summary>Gets how often rows were read ahead: while it stays the same, so do the rows at hand.</summary>
    public int Chunk { get; private set; }

    /// <summary>Gets how many rows are at hand.</summary>
    public int Count { get; private set; }

    /// <summary>Gets the row's place among those at hand.</summary>
    /// <exception cref="InvalidOperationException">There is no row.</exception>
    public int Row => _row != None ? _row : throw new InvalidOperationException("A value was read before MoveNext, or after it returned false.");

    public long Position => _row == None ? None : _rows[_row].Position;

    public long Batch => _row == None ? 0 : _rows[_row].Batch;

    public bool MoveNext()
    {
        _row++;
        if (_row == Count)
            ReadAhead();
        if (_row < Count)
            return true;
        _row = None;
        Count = 0;
        return false;
    }

    public ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = _rows[Row].Id;

    /// <summary>Gives what reads a column of the present row.</summary>
    /// <exception cref="InvalidOperationException">The column is of another type.</exception>
    public ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (_columns[column.Index] is not ColumnBuffer<TValue> buffer)
        {
            throw new InvalidOperationException(
                $"Column '{column.Name}' has values of {column.Type.RawType}, but a getter of {typeof(TValue)} was asked for.");
        }

        return (ref TValue value) => buffer.Copy(Row, ref value);
    }

    /// <summary>Gives a column's values in the rows at hand, <see cref="Count"/> of them.</summary>
    public ReadOnlySpan<TValue> GetValues<TValue>(DataViewSchema.Column column) => ((ColumnBuffer<TValue>)_columns[column.Index]).Values.AsSpan(0, Count);

    public void Dispose() => _input.Dispose();

    private void ReadAhead()
    {
        _row = 0;
        Chunk++;
        for (Count = 0; Count < MostRows && _input.MoveNext(); Count++)
        {
            DataViewRowId id = default;
            _getId(ref id);
            _rows[Count] = (_input.Position, _input.Batch, id);
            foreach (ColumnBuffer column in _columns.Values)
                column.Read(Count);
        }
    }

    private abstract class ColumnBuffer
    {
        public static ColumnBuffer Create(DataViewRowCursor input, DataViewSchema.Column column)
        {
            Type type = column.Type is VectorDataViewType vector
                ? typeof(VectorBuffer<>).MakeGenericType(vector.ItemType.RawType)
                : typeof(ColumnBuffer<>).MakeGenericType(column.Type.RawType);
            return (ColumnBuffer)Activator.CreateInstance(type, input, column)!;
        }

        public abstract void Read(int row);
    }

    private class ColumnBuffer<TValue>(DataViewRowCursor input, DataViewSchema.Column column) : ColumnBuffer
    {
        private readonly ValueGetter<TValue> _get = input.GetGetter<TValue>(column);

        public TValue[] Values { get; } = new TValue[MostRows];

        public override void Read(int row) => _get(ref Values[row]);

        public virtual void Copy(int row, ref TValue value) => value = Values[row];
    }

    // Who reads a vector may write over its memory.
    private sealed class VectorBuffer<TItem>(DataViewRowCursor input, DataViewSchema.Column column) : ColumnBuffer<VBuffer<TItem>>(input, column)
    {
        public override void Copy(int row, ref VBuffer<TItem> value) => Values[row].CopyTo(ref value);
    }
}
