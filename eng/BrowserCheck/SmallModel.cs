using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Leap;
using QuickStart;

namespace BrowserCheck;

/// <summary>The model of samples/Browser: the quick start's network, narrower, in 8-bit numbers and with a small memory, so that a page can load it.</summary>
internal static class SmallModel
{
    private const int MostCharacters = 3_000_000;

    /// <summary>Trains the model on the documentation of the SDK at hand, and writes it as the zip of a folder.</summary>
    /// <param name="path">Where to; written under another name first, so that it is whole where it is.</param>
    public static void Train(string path)
    {
        string[] documents = [.. DocumentationCorpus.Read()];
        new Random(1).Shuffle(documents);
        int sum = 0;
        IEnumerable<Document> texts = documents.TakeWhile(text => (sum += text.Length) <= MostCharacters).Select(text => new Document { Text = text }).ToArray();

        var mlContext = new MLContext(seed: 1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(texts);
        using LeapLanguageModelTransformer model = mlContext.Leap().LanguageModel(new LeapLanguageModelTrainer.Options
        {
            // The default is wider, which takes 1.6 times as many bytes.
            HiddenSize = 128,

            // About what the defaults take on two cores that do nothing else.
            TimeBudget = TimeSpan.FromMinutes(4),
            MemoryMegabytes = 2,
        }).Fit(rows);

        DirectoryInfo folder = Directory.CreateTempSubdirectory("leap-");
        try
        {
            string saved = Path.Combine(folder.FullName, "model"), zip = Path.Combine(folder.FullName, "model.zip");
            model.Model.Save(saved, WeightFormat.Int8);
            ZipFile.CreateFromDirectory(saved, zip, CompressionLevel.SmallestSize, includeBaseDirectory: false);
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            File.Copy(zip, path + ".tmp", overwrite: true);
            File.Move(path + ".tmp", path, overwrite: true);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
