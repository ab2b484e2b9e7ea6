using System.Diagnostics;
using System.Globalization;
using LoadOnly;
using Microsoft.ML;
using Microsoft.ML.Data;

// Loads a model as an application does that knows ML.NET alone, without a native backend, and computes all added columns for the texts given as
// arguments. Prints the columns' names, a line per row so that each number reads back as the same bits, and which of torch's libraries the
// process has loaded.

if (args.Length < 2)
{
    Console.Error.WriteLine("usage: loadonly MODEL TEXT...");
    return 2;
}

var mlContext = new MLContext();
ITransformer model = mlContext.Model.Load(args[0], out DataViewSchema _);
IDataView scored = model.Transform(mlContext.Data.LoadFromEnumerable(args.Skip(1).Select(text => new Input { Text = text })));

DataViewSchema.Column[] columns = [.. scored.Schema.Where(column => !column.IsHidden && column.Name is not ("Text" or "Clean") && CanRead(column.Type))];
Console.WriteLine(string.Join('\t', columns.Select(column => column.Name)));

using (DataViewRowCursor cursor = scored.GetRowCursor(columns))
{
    Func<string>[] readers = [.. columns.Select(column => Reader(cursor, column))];
    while (cursor.MoveNext())
        Console.WriteLine(string.Join('\t', readers.Select(read => read())));
}

string[] libraries = [.. Process.GetCurrentProcess().Modules.Cast<ProcessModule>().Select(module => module.ModuleName)
    .Where(name => name.Contains("torch", StringComparison.OrdinalIgnoreCase) && !name.EndsWith(".dll", StringComparison.OrdinalIgnoreCase))];
Console.WriteLine($"torch's libraries: {(libraries.Length == 0 ? "none" : string.Join(", ", libraries))}");
return 0;

static bool CanRead(DataViewType type) => type.Equals(NumberDataViewType.Single) || type is TextDataViewType || IsVector(type);

static bool IsVector(DataViewType type) => type is VectorDataViewType vector && vector.ItemType.Equals(NumberDataViewType.Single);

static Func<string> Reader(DataViewRowCursor cursor, DataViewSchema.Column column)
{
    if (IsVector(column.Type))
        return Read(cursor.GetGetter<VBuffer<float>>(column), values => string.Join(' ', values.DenseValues().Select(Number)));
    return column.Type is TextDataViewType
        ? Read(cursor.GetGetter<ReadOnlyMemory<char>>(column), text => Uri.EscapeDataString(text.ToString()))
        : Read(cursor.GetGetter<float>(column), Number);
}

static Func<string> Read<T>(ValueGetter<T> getter, Func<T, string> format) => () =>
{
    T value = default!;
    getter(ref value);
    return format(value);
};

static string Number(float value) => value.ToString("R", CultureInfo.InvariantCulture);
