using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML;

namespace Leap.Tool;

/// <summary>What a person should know of a model's making, and its numbers do not tell.</summary>
/// <param name="License">The licence of the texts; null where none was given.</param>
/// <param name="Sources">The files that the texts came from.</param>
internal sealed record ModelNotes(string? License, IReadOnlyList<string> Sources);

/// <summary>A model's file, as ML.NET writes and reads it, with notes beside the model in the zip.</summary>
internal static class ModelFile
{
    private const string NotesEntry = "leap-notes.json";
    private const string ManifestOfFolder = "leap.manifest";
    private const long MostBytesOfNotes = 1 << 20;

    /// <summary>Saves a model as ML.NET does; a file of that name is replaced when all is written.</summary>
    public static void Save(MLContext context, ITransformer model, DataViewSchema? schema, string path, ModelNotes? notes) =>
        Save(path, notes, temporary => context.Leap().Save(model, schema, temporary));

    /// <summary>Saves a model as the zip of a folder, whose weights can be of fewer bits. ML.NET does not read it; this tool and
    /// <see cref="LeapLanguageModel.Load(string, LeapLanguageModelOptions?)"/> do.</summary>
    public static void SaveFolder(LeapLanguageModel model, WeightFormat weights, string path, ModelNotes? notes)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("leap-");
        try
        {
            model.Save(folder.FullName, weights);
            Save(path, notes, temporary => ZipFile.CreateFromDirectory(folder.FullName, temporary));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Save(string path, ModelNotes? notes, Action<string> write)
    {
        string temporary = $"{path}.part";
        File.Delete(temporary);
        try
        {
            write(temporary);
            if (notes is not null)
            {
                using ZipArchive zip = ZipFile.Open(temporary, ZipArchiveMode.Update);
                using Stream entry = zip.CreateEntry(NotesEntry).Open();
                JsonSerializer.Serialize(entry, notes, InfoCommand.Json);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Reads the notes in a model's zip; null where there are none.</summary>
    /// <exception cref="FormatException">They are damaged.</exception>
    public static ModelNotes? ReadNotes(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            using ZipArchive zip = ZipFile.OpenRead(path);
            ZipArchiveEntry? entry = zip.GetEntry(NotesEntry);
            if (entry is null)
                return null;
            if (entry.Length > MostBytesOfNotes)
                throw new FormatException($"{NotesEntry} in {path} is too long.");
            using Stream stream = entry.Open();
            return JsonSerializer.Deserialize<ModelNotes>(stream, InfoCommand.Json);
        }
        catch (Exception e) when (e is JsonException or InvalidDataException)
        {
            throw new FormatException($"{NotesEntry} in {path} is damaged: {e.Message}", e);
        }
    }

    /// <summary>Loads a model with what ML.NET knows of it: how the training went.</summary>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="InvalidOperationException">The zip holds none, or several.</exception>
    public static LeapLanguageModelTransformer LoadTransformer(MLContext context, string path)
    {
        if (Directory.Exists(path) || HoldsFolder(path))
            return context.Leap().LoadPretrained(path, device: "cpu");
        ITransformer loaded = context.Model.Load(path, out _);
        return loaded as LeapLanguageModelTransformer
            ?? (loaded as IEnumerable<ITransformer>)?.OfType<LeapLanguageModelTransformer>().SingleOrDefault()
            ?? throw new InvalidOperationException($"{path} holds no LEAP language model.");
    }

    private static bool HoldsFolder(string path)
    {
        try
        {
            using ZipArchive zip = ZipFile.OpenRead(path);
            return zip.Entries.Any(entry => entry.Name == ManifestOfFolder);
        }
        catch (InvalidDataException e)
        {
            throw new FormatException($"{path} is no zip: {e.Message}", e);
        }
    }
}
