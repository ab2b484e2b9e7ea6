using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.FileSystemGlobbing;
using Microsoft.Extensions.FileSystemGlobbing.Abstractions;

namespace Leap.Tool;

/// <summary>A file that rows are read from, or standard input.</summary>
/// <param name="Path">Where it is; "-" for standard input.</param>
/// <param name="Format">How its rows are laid out.</param>
/// <param name="IsCompressed">Whether it is compressed by gzip.</param>
internal sealed record InputFile(string Path, RowFormat Format, bool IsCompressed)
{
    public const string StandardInput = "-";

    private const string Gzip = ".gz";

    private static readonly Dictionary<string, RowFormat> Extensions = new(StringComparer.OrdinalIgnoreCase)
    {
        [".csv"] = RowFormat.Csv,
        [".tsv"] = RowFormat.Tsv,
        [".tab"] = RowFormat.Tsv,
        [".jsonl"] = RowFormat.Jsonl,
        [".ndjson"] = RowFormat.Jsonl,
        [".json"] = RowFormat.Jsonl,
        [".parquet"] = RowFormat.Parquet,
    };

    /// <summary>Gets what messages call it.</summary>
    public string Name => IsStandardInput ? "standard input" : Path;

    public bool IsStandardInput => Path == StandardInput;

    /// <summary>Gets whether a part of it can be read without what is before the part.</summary>
    public bool IsSeekable => !IsStandardInput && !IsCompressed;

    /// <summary>Finds the files that arguments name: paths, patterns with * ? and **, and "-".</summary>
    /// <param name="arguments">The arguments.</param>
    /// <param name="format">The format of all; null to tell it by the name, which is lines of text for an unknown one.</param>
    /// <exception cref="UsageException">A folder is named, standard input twice, or a pattern fits no file.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static IReadOnlyList<InputFile> Find(IEnumerable<string> arguments, RowFormat? format)
    {
        InputFile[] files = [.. arguments.SelectMany(Expand).Select(path => Describe(path, format))];
        if (files.Count(file => file.IsStandardInput) > 1)
            throw new UsageException("Standard input, -, can be read only once.");
        foreach (InputFile file in files)
        {
            if (file.Format == RowFormat.Parquet && !file.IsSeekable)
                throw new UsageException($"{file.Name} cannot be read as Parquet, which needs an uncompressed file.");
        }

        return files;
    }

    /// <summary>Tells the format by a path's extension.</summary>
    public static RowFormat? TellFormat(string path) =>
        Extensions.TryGetValue(System.IO.Path.GetExtension(WithoutGzip(path)), out RowFormat known) ? known : null;

    /// <summary>Opens it for reading, decompressed.</summary>
    public Stream Open()
    {
        if (IsStandardInput)
            return Console.OpenStandardInput();
        var file = new FileStream(Path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        return IsCompressed ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    private static InputFile Describe(string path, RowFormat? format)
    {
        if (path == StandardInput)
            return new InputFile(path, format ?? RowFormat.Text, IsCompressed: false);
        return new InputFile(path, format ?? TellFormat(path) ?? RowFormat.Text, path.EndsWith(Gzip, StringComparison.OrdinalIgnoreCase));
    }

    private static string WithoutGzip(string path) => path.EndsWith(Gzip, StringComparison.OrdinalIgnoreCase) ? path[..^Gzip.Length] : path;

    private static IEnumerable<string> Expand(string argument)
    {
        if (argument == StandardInput || File.Exists(argument))
            return [argument];
        if (Directory.Exists(argument))
            throw new UsageException($"{argument} is a folder: name the files in it, for example '{System.IO.Path.Combine(argument, "*.txt")}'.");
        if (argument.AsSpan().IndexOfAny('*', '?') < 0)
            throw new FileNotFoundException($"There is no file {argument}.", argument);
        string[] found = [.. Match(argument).Order(StringComparer.Ordinal)];
        return found.Length > 0 ? found : throw new UsageException($"The pattern {argument} fits no file.");
    }

    // The part before the first pattern is a folder as it stands, which may lie outside of the current one.
    private static IEnumerable<string> Match(string pattern)
    {
        string[] parts = pattern.Split('/', '\\');
        int first = Array.FindIndex(parts, part => part.AsSpan().IndexOfAny('*', '?') >= 0);
        string folder = first == 0 ? "." : string.Join('/', parts[..first]);
        var matcher = new Matcher(StringComparison.Ordinal);
        matcher.AddInclude(string.Join('/', parts[first..]).Replace("?", "*", StringComparison.Ordinal));
        string root = folder.Length == 0 ? "/" : folder;
        if (!Directory.Exists(root))
            return [];
        IEnumerable<string> names = matcher.Execute(new DirectoryInfoWrapper(new DirectoryInfo(root))).Files.Select(match => match.Path);
        if (pattern.Contains('?', StringComparison.Ordinal))
        {
            Regex expression = MakeExpression(parts[first..]);
            names = names.Where(name => expression.IsMatch(name));
        }

        return names.Select(name => first == 0 ? name : System.IO.Path.Combine(root, name));
    }

    // What the matcher does not know: ? is one character, in folders' names too.
    private static Regex MakeExpression(string[] parts)
    {
        const string character = "[^/]";
        IEnumerable<string> folders = parts[..^1].Select(part => part == "**" ? "(.*/)?" : MakePart(part) + '/');
        string name = parts[^1] == "**" ? ".*" : MakePart(parts[^1]);
        return new Regex($"^{string.Concat(folders)}{name}$", RegexOptions.Singleline | RegexOptions.CultureInvariant);

        static string MakePart(string part) => Regex.Escape(part).Replace(@"\*", character + '*', StringComparison.Ordinal).Replace(@"\?", character, StringComparison.Ordinal);
    }
}

/// <summary>Which rows are read out of files, and how.</summary>
/// <param name="Files">The files, in the order of reading.</param>
/// <param name="TextField">Finds the text in a row of fields.</param>
/// <param name="Encoding">That of text, CSV and TSV files; JSON is UTF-8.</param>
internal sealed record RowReader(IReadOnlyList<InputFile> Files, TextField TextField, Encoding Encoding)
{
    /// <summary>UTF-8, in which a byte that fits no character is an error.</summary>
    public static Encoding Utf8 { get; } = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Finds an encoding by its name.</summary>
    /// <exception cref="UsageException">There is none of that name.</exception>
    public static Encoding FindEncoding(string? name)
    {
        if (name is null)
            return Utf8;
        Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);
        try
        {
            return Encoding.GetEncoding(name, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback);
        }
        catch (ArgumentException)
        {
            throw new UsageException($"There is no encoding '{name}'; usual ones are utf-8, utf-16, latin1 and windows-1252.");
        }
    }

    /// <summary>Reads the rows as they are asked for.</summary>
    /// <param name="shard">The part of all files to read; null for all.</param>
    /// <exception cref="FormatException">A file is not what its format asks for.</exception>
    public IEnumerable<Row> Read(Shard? shard = null)
    {
        if (shard is not null && Files.FirstOrDefault(file => file.IsStandardInput) is not null)
            throw new UsageException("Standard input has no shards: name files.");
        FilePart[] parts = shard?.Cut(Files) ?? [.. Files.Select(FilePart.Whole)];
        return parts.SelectMany(Read);
    }

    private IEnumerable<Row> Read(FilePart part)
    {
        InputFile file = part.File;

        // Where a line feed is more than one byte, a file is not cut.
        if (file.Format is RowFormat.Text or RowFormat.Csv or RowFormat.Tsv && part.IsCut && FindEncoding(file).GetByteCount("\n") > 1)
        {
            if (!part.IsFirst)
                return [];
            part = FilePart.Whole(file);
        }

        IEnumerable<Row> rows = file.Format switch
        {
            RowFormat.Text => LineRows.Read(part, Encoding),
            RowFormat.Document => LineRows.ReadDocument(part, Encoding),
            RowFormat.Csv => new DelimitedRows(',').Read(part, TextField, Encoding),
            RowFormat.Tsv => new DelimitedRows('\t').Read(part, TextField, Encoding),
            RowFormat.Jsonl => JsonRows.Read(part, TextField),
            _ => ParquetRows.Read(part, TextField),
        };
        return Name(rows, file.Name);
    }

    // Readers follow a byte order mark, where there is one, before the encoding that was named.
    private Encoding FindEncoding(InputFile file)
    {
        Encoding unmarked = Encoding.Latin1;
        using var reader = new StreamReader(file.Open(), unmarked);
        reader.Peek();
        return reader.CurrentEncoding.CodePage == unmarked.CodePage ? Encoding : reader.CurrentEncoding;
    }

    // What a decoder or a decompressor says names no file.
    private static IEnumerable<Row> Name(IEnumerable<Row> rows, string file)
    {
        using IEnumerator<Row> each = rows.GetEnumerator();
        while (true)
        {
            try
            {
                if (!each.MoveNext())
                    yield break;
            }
            catch (DecoderFallbackException)
            {
                throw new FormatException($"{file} has bytes that are no text in its encoding: name another with --encoding, for example latin1.");
            }
            catch (InvalidDataException e)
            {
                throw new FormatException($"{file} is damaged: {e.Message}", e);
            }

            yield return each.Current;
        }
    }
}
