using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>WikiText-2 in blocks, as the notebook of the Python original cuts it.</summary>
internal static class Wikitext2Corpus
{
    private const int LinesAGroup = 1000;

    /// <summary>Packs blocks of a file's lines: an end token after each line, and of every 1,000 lines the ids that fill no whole block
    /// left out.</summary>
    /// <param name="path">The file; unpacked where its name ends with .gz.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="blockSize">Ids of a block.</param>
    /// <returns>A whole number of blocks, at least one; the caller disposes them.</returns>
    /// <exception cref="InvalidOperationException">There is not one whole block.</exception>
    public static TokenStore Pack(string path, LeapTokenizer tokenizer, int blockSize)
    {
        using var builder = new TokenStoreBuilder(tokenizer.VocabularySize);
        List<int> ids = [];
        foreach (string[] group in TextFile.ReadLines(path).Chunk(LinesAGroup))
        {
            ids.Clear();
            foreach (string line in group)
            {
                tokenizer.Encode(line, ids);
                ids.Add(tokenizer.EndOfTextId);
            }

            builder.Append(CollectionsMarshal.AsSpan(ids)[..(ids.Count / blockSize * blockSize)]);
        }

        return builder.Count > 0
            ? builder.Build()
            : throw new InvalidOperationException($"'{path}' makes no whole block of {blockSize} tokens; it is not WikiText-2.");
    }

    /// <summary>Finds a split's file, plain or packed.</summary>
    /// <exception cref="FileNotFoundException">There is neither.</exception>
    public static string Find(string folder, string split)
    {
        string plain = Path.Combine(folder, $"wiki.{split}.tokens");
        return new[] { plain, plain + ".gz" }.FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"There is neither '{plain}' nor '{plain}.gz'.");
    }
}
