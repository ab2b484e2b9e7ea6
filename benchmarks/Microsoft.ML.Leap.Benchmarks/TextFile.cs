using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Reads text in UTF-8, unpacked where the file's name ends with .gz.</summary>
internal static class TextFile
{
    public static string ReadAll(string path)
    {
        using StreamReader reader = Open(path);
        return reader.ReadToEnd();
    }

    /// <summary>Reads the lines. They end at LF alone: a CR belongs to its line.</summary>
    public static IEnumerable<string> ReadLines(string path)
    {
        using StreamReader reader = Open(path);
        var line = new StringBuilder();
        char[] buffer = new char[1 << 16];
        int count;
        while ((count = reader.Read(buffer, 0, buffer.Length)) > 0)
        {
            int start = 0;
            int lineBreak;
            while ((lineBreak = Array.IndexOf(buffer, '\n', start, count - start)) >= 0)
            {
                yield return line.Append(buffer, start, lineBreak - start).ToString();
                line.Clear();
                start = lineBreak + 1;
            }

            line.Append(buffer, start, count - start);
        }

        if (line.Length > 0)
            yield return line.ToString();
    }

    private static StreamReader Open(string path)
    {
        Stream stream = File.OpenRead(path);
        if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
            stream = new GZipStream(stream, CompressionMode.Decompress);
        return new StreamReader(stream, new UTF8Encoding(false), detectEncodingFromByteOrderMarks: false);
    }
}
