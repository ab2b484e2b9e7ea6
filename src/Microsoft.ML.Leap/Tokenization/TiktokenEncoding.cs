using System.IO.Compression;
using System.Reflection;

namespace Microsoft.ML.Leap;

/// <summary>A tiktoken encoding that a data package of Microsoft.ML.Tokenizers brings.</summary>
internal sealed record TiktokenEncoding(string Name, string PackageName, string ModelName)
{
    private static readonly TiktokenEncoding[] Known =
    [
        new("o200k_base", "Microsoft.ML.Tokenizers.Data.O200kBase", "gpt-4o"),
        new("cl100k_base", "Microsoft.ML.Tokenizers.Data.Cl100kBase", "gpt-4"),
    ];

    public string FileName => Name + ".tiktoken";

    public static string KnownNames => string.Join(", ", Known.Select(e => e.Name));

    public static TiktokenEncoding? Find(string? name) => Array.Find(Known, e => e.Name == name);

    /// <summary>Finds the data package's assembly; <see langword="null"/> where the application does not have it.</summary>
    public Assembly? FindData()
    {
        try
        {
            return Assembly.Load(PackageName);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    public byte[] ReadData()
    {
        Assembly data = FindData() ?? throw MissingPackage();
        using Stream compressed = data.GetManifestResourceStream(FileName + ".deflate")
            ?? throw new InvalidOperationException($"The package {PackageName} does not hold {FileName}; use a version that goes with Microsoft.ML.Tokenizers.");
        using var ranks = new DeflateStream(compressed, CompressionMode.Decompress);
        return TokenizerFiles.ReadAll(ranks, FileName);
    }

    public InvalidOperationException MissingPackage() =>
        new($"The tiktoken encoding {Name} needs its data: add the package {PackageName} to the application (dotnet add package {PackageName}).");
}
