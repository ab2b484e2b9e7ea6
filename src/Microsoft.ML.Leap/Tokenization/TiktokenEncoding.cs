using System.IO.Compression;
using System.Reflection;
using System.Text;

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

    /// <summary>Reads the ranks from the data package, in the usual format: a line a token, its bytes in base 64, a space, its rank.
    /// </summary>
    public byte[] ReadData()
    {
        Assembly data = FindData() ?? throw MissingPackage();
        using Stream compressed = data.GetManifestResourceStream(FileName + ".deflate")
            ?? throw new InvalidOperationException(
                $"The package {PackageName} does not hold {FileName}; use a version that goes with Microsoft.ML.Tokenizers.");
        using var tokens = new StreamReader(new DeflateStream(compressed, CompressionMode.Decompress));

        // The package leaves the ranks out, since they count the lines, and tells their number first.
        var ranks = new StringBuilder();
        int rank = 0;
        while (tokens.ReadLine() is { } token)
        {
            if (!token.StartsWith("Capacity:", StringComparison.Ordinal))
                ranks.Append(token).Append(' ').Append(rank++).Append('\n');
        }

        return Encoding.ASCII.GetBytes(ranks.ToString());
    }

    public InvalidOperationException MissingPackage() =>
        new($"The tiktoken encoding {Name} needs its data: add the package {PackageName} to the application " +
            $"(dotnet add package {PackageName}).");
}
