using System.Buffers.Binary;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Saves, opens and rebuilds models, with nothing of the code under test but its entrance.</summary>
internal static class SavedModel
{
    public static byte[] Zip(MLContext context, ITransformer model, DataViewSchema? schema = null)
    {
        using var stream = new MemoryStream();
        context.Model.Save(model, schema ?? TinyModel.View(context).Schema, stream);
        return stream.ToArray();
    }

    /// <summary>Loads a zip that holds one language model alone.</summary>
    public static LeapLanguageModelTransformer Load(byte[] zip) =>
        (LeapLanguageModelTransformer)new MLContext().Model.Load(new MemoryStream(zip), out _);

    /// <summary>Whether an entry is one of the language model's, saved alone: ML.NET puts it where it would put a chain.</summary>
    public static bool IsOwn(ZipArchiveEntry entry) => Path.GetDirectoryName(entry.FullName.Replace('\\', '/')) == "TransformerChain";

    /// <summary>The language model's own entries by name, Model.key among them.</summary>
    public static Dictionary<string, byte[]> Entries(byte[] zip)
    {
        using var archive = new ZipArchive(new MemoryStream(zip));
        return archive.Entries.Where(IsOwn).ToDictionary(entry => entry.Name, Read);
    }

    /// <summary>Makes a zip with a valid list of sums over whatever files, and the real loader behind it.</summary>
    public static byte[] MakeZip(MLContext context, IReadOnlyDictionary<string, byte[]> files) => Zip(context, new Disguise(files));

    /// <summary>Reads names and shapes by the format's definition: the header's length in 8 bytes, then JSON.</summary>
    public static Dictionary<string, long[]> SafeTensorShapes(byte[] file)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, length));
        return header.RootElement.EnumerateObject().Where(field => field.Name != "__metadata__").ToDictionary(
            field => field.Name,
            field => field.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ToArray());
    }

    private static byte[] Read(ZipArchiveEntry entry)
    {
        using Stream stream = entry.Open();
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }

    private sealed class Disguise(IReadOnlyDictionary<string, byte[]> files) : ITransformer
    {
        public bool IsRowToRowMapper => false;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        public IDataView Transform(IDataView input) => input;

        void ICanSaveModel.Save(ModelSaveContext ctx) => ModelZip.Save(ctx, target =>
        {
            foreach ((string name, byte[] content) in files)
                target.Write(name, stream => stream.Write(content));
        });
    }
}
