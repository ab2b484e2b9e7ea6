using System.Security.Cryptography;

namespace Microsoft.ML.Leap;

/// <summary>The lengths and SHA-256 sums of a model's files, to tell a damaged model from a whole one.</summary>
/// <remarks>In binary: the number of files (Int32), and for each its name (a string of <see cref="BinaryWriter"/>), its length in
/// bytes (Int64) and its sum (32 bytes).</remarks>
internal sealed class ModelManifest
{
    private const int MaximumCount = 64;

    private readonly Dictionary<string, (long Length, byte[] Sum)> _files = new(StringComparer.Ordinal);

    /// <summary>Gets whether a file is listed.</summary>
    public bool Contains(string name) => _files.ContainsKey(name);

    /// <summary>Lists a file.</summary>
    /// <param name="name">Its name, not listed yet.</param>
    /// <param name="content">Its content, at the first byte. It is read to the end.</param>
    public void Add(string name, Stream content) => _files.Add(name, (content.Length, SHA256.HashData(content)));

    /// <summary>Compares a file with what is listed.</summary>
    /// <param name="name">Its name, which is listed.</param>
    /// <param name="content">Its content, at the first byte. It is read to the end.</param>
    /// <exception cref="FormatException">They differ.</exception>
    public void Verify(string name, Stream content)
    {
        (long length, byte[] sum) = _files[name];
        if (content.Length != length)
            throw new FormatException($"{name}: the entry must have {length} bytes, but has {content.Length}.");
        if (!SHA256.HashData(content).AsSpan().SequenceEqual(sum))
            throw new FormatException($"{name}: the entry is damaged: its content does not match the sum that was saved with it.");
    }

    /// <summary>Writes the list.</summary>
    public void Write(BinaryWriter writer)
    {
        writer.Write(_files.Count);
        foreach ((string name, (long length, byte[] sum)) in _files)
        {
            writer.Write(name);
            writer.Write(length);
            writer.Write(sum);
        }
    }

    /// <summary>Reads a list.</summary>
    /// <exception cref="FormatException">It is malformed.</exception>
    public static ModelManifest Read(BinaryReader reader)
    {
        try
        {
            var manifest = new ModelManifest();
            int count = reader.ReadInt32();
            if (count is < 0 or > MaximumCount)
                throw new FormatException($"The model's list of files must name at most {MaximumCount}, but names {count}.");
            for (int i = 0; i < count; i++)
            {
                string name = reader.ReadString();
                if (!manifest._files.TryAdd(name, (reader.ReadInt64(), reader.ReadBytes(SHA256.HashSizeInBytes))))
                    throw new FormatException($"The model's list of files names '{name}' twice.");
            }

            return manifest;
        }
        catch (IOException e)
        {
            throw new FormatException("The model's list of files is truncated.", e);
        }
    }
}
