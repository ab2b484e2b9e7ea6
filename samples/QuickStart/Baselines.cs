using System.IO.Compression;
using System.Text;
using Microsoft.ML.Leap;

namespace QuickStart;

/// <summary>What a model of no context and a compressor make of the same validation texts.</summary>
internal static class Baselines
{
    /// <summary>Perplexity a token of a unigram model: token frequencies of the training texts, one added to each.</summary>
    public static double UnigramPerplexity(IEnumerable<string> training, IEnumerable<string> validation, LeapTokenizer tokenizer)
    {
        long[] counts = new long[tokenizer.VocabularySize];
        Array.Fill(counts, 1);
        foreach (int id in training.SelectMany(tokenizer.Encode))
            counts[id]++;

        double logTotal = Math.Log(counts.Sum());
        double loss = 0;
        long tokens = 0;
        foreach (int id in validation.SelectMany(tokenizer.Encode))
        {
            loss += logTotal - Math.Log(counts[id]);
            tokens++;
        }

        return Math.Exp(loss / tokens);
    }

    /// <summary>Bits a byte of the validation texts, one a line, under gzip's smallest size.</summary>
    public static double GzipBitsPerByte(IEnumerable<string> validation)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(string.Join('\n', validation));
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
            gzip.Write(bytes);
        return packed.Length * 8.0 / bytes.Length;
    }
}
