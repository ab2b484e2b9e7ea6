using System.Globalization;
using LoadOnly;
using Microsoft.ML;
using Microsoft.ML.Data;

// Loads a model as an application does that knows ML.NET alone, scores the texts given as arguments, and prints the names of the output's
// numeric columns and then a line a row, so that each number reads back as the same bits.

if (args.Length < 2)
{
    Console.Error.WriteLine("usage: loadonly MODEL TEXT...");
    return 2;
}

var mlContext = new MLContext();
ITransformer model = mlContext.Model.Load(args[0], out DataViewSchema _);
IDataView scored = model.Transform(mlContext.Data.LoadFromEnumerable(args.Skip(1).Select(text => new Input { Text = text })));

DataViewSchema.Column[] columns = [.. scored.Schema.Where(column => !column.IsHidden && column.Type.Equals(NumberDataViewType.Single))];
Console.WriteLine(string.Join('\t', columns.Select(column => column.Name)));

using DataViewRowCursor cursor = scored.GetRowCursor(columns);
ValueGetter<float>[] getters = [.. columns.Select(cursor.GetGetter<float>)];
while (cursor.MoveNext())
    Console.WriteLine(string.Join('\t', getters.Select(Read)));
return 0;

static string Read(ValueGetter<float> getter)
{
    float value = 0;
    getter(ref value);
    return value.ToString("R", CultureInfo.InvariantCulture);
}
