using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Loads TorchSharp's native library on Linux systems whose C++ library is a little too old for it, such as Debian 12 and
/// Ubuntu 22.04, through a private copy that does not insist on the newest symbol version.</summary>
/// <remarks>
/// <para>The library asks for GLIBCXX_3.4.32, of GCC 13.2, for one symbol that GCC 13's header &lt;iostream&gt; names and nothing uses.
/// In the copy that version is marked as weak, so the system's loader takes its absence; nothing else differs.</para>
/// <para>The copy lies in the user's cache folder ($XDG_CACHE_HOME, by default ~/.cache), readable for the user alone, and is compared with
/// what it must be before each use. Set the <see cref="AppContext"/> switch <see cref="SwitchName"/> to true before the first use of this
/// library to do without.</para>
/// </remarks>
internal static class NativeLibraryCopy
{
    internal const string SwitchName = "Microsoft.ML.Leap.DisableNativeLibraryCopy";

    private const string FileName = "libLibTorchSharp.so";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    internal static bool IsDisabled => AppContext.TryGetSwitch(SwitchName, out bool disabled) && disabled;

    /// <summary>Loads libtorch from its folder, and a copy of TorchSharp's library that does without a symbol version. From then on the
    /// loader finds the copy by the library's name.</summary>
    /// <param name="libTorchFolder">Where libtorch_cpu.so lies.</param>
    /// <param name="folders">Where TorchSharp's library may lie.</param>
    /// <param name="version">The symbol version to do without: GLIBCXX_3.4.32.</param>
    /// <exception cref="DllNotFoundException">The library is in none of the folders, or a library cannot be loaded.</exception>
    /// <exception cref="BadImageFormatException">The library is damaged, or it uses a symbol of that version.</exception>
    /// <exception cref="IOException">The copy cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The cache folder belongs to another user.</exception>
    [SupportedOSPlatform("linux")]
    internal static void Load(string libTorchFolder, IEnumerable<string> folders, string version)
    {
        string original = folders.Select(folder => Path.Combine(folder, FileName)).FirstOrDefault(File.Exists)
            ?? throw new DllNotFoundException($"{FileName} is in none of the folders where the runtime looks.");
        string copy = Write(MakeVersionWeak(File.ReadAllBytes(original), version), CacheFolder());

        // The copy cannot find them beside itself.
        foreach (string library in (string[])["libc10.so", "libtorch_cpu.so", "libtorch.so"])
            NativeLibrary.Load(Path.Combine(libTorchFolder, library));
        NativeLibrary.Load(copy);
    }

    internal static string CacheFolder() => Path.Combine(
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
            ? cache
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
        "Microsoft.ML.Leap");

    /// <summary>Writes an image into a folder of its own unless the same bytes are there, and returns its path.</summary>
    [SupportedOSPlatform("linux")]
    internal static string Write(byte[] image, string cacheFolder)
    {
        string folder = Path.Combine(cacheFolder, Convert.ToHexStringLower(SHA256.HashData(image))[..16]);
        Directory.CreateDirectory(folder, OwnerOnly);
        // Fails where another user made the folder, who could put another file there.
        File.SetUnixFileMode(cacheFolder, OwnerOnly);
        File.SetUnixFileMode(folder, OwnerOnly);

        string path = Path.Combine(folder, FileName);
        if (File.Exists(path) && File.ReadAllBytes(path).AsSpan().SequenceEqual(image))
            return path;

        // Another process may have the file of that name loaded, so it is replaced and not overwritten.
        string temporary = $"{path}.{Environment.ProcessId}";
        File.WriteAllBytes(temporary, image);
        File.SetUnixFileMode(temporary, OwnerOnly);
        File.Move(temporary, path, overwrite: true);
        return path;
    }

    /// <summary>Marks a symbol version that a 64-bit ELF library needs as weak: the loader then takes its absence.</summary>
    /// <returns>The image with that bit set, in every library that the version is needed of.</returns>
    /// <exception cref="BadImageFormatException">The image is no such library or cut off, does not need the version, or has a relocation
    /// to a symbol of it, which would stay without an address.</exception>
    /// <remarks>Structures: System V ABI, "Object Files", and Linux Standard Base, "Symbol Versioning".</remarks>
    internal static byte[] MakeVersionWeak(ReadOnlySpan<byte> library, string version)
    {
        byte[] image = library.ToArray();
        try
        {
            Section[] sections = ReadSections(image);
            Section needs = sections.First(section => section.Kind == Section.VersionNeeds);
            List<int> indexes = [];
            foreach (int entry in FindNeeds(image, needs, sections[needs.Link], version))
            {
                image[entry + 4] |= 2; // VER_FLG_WEAK of vna_flags
                indexes.Add(BinaryPrimitives.ReadUInt16LittleEndian(image.AsSpan(entry + 6)));
            }

            if (indexes.Count == 0)
                throw new BadImageFormatException($"The library does not need {version}.");
            if (UsesVersion(image, sections, indexes))
                throw new BadImageFormatException($"The library uses a symbol of {version}.");
            return image;
        }
        catch (Exception exception) when (exception is ArgumentOutOfRangeException or IndexOutOfRangeException or InvalidOperationException)
        {
            throw new BadImageFormatException("The library is no complete 64-bit ELF file.", exception);
        }
    }

    private readonly record struct Section(uint Kind, int Offset, int Size, int Link, int Info)
    {
        internal const uint Relocations = 4;
        internal const uint VersionNeeds = 0x6ffffffe;
        internal const uint SymbolVersions = 0x6fffffff;
    }

    private static Section[] ReadSections(ReadOnlySpan<byte> image)
    {
        if (!image.StartsWith("\u007fELF\u0002\u0001"u8))
            throw new BadImageFormatException("The library is no 64-bit ELF file.");
        int table = checked((int)BinaryPrimitives.ReadInt64LittleEndian(image[40..]));
        var sections = new Section[BinaryPrimitives.ReadUInt16LittleEndian(image[60..])];
        for (int i = 0; i < sections.Length; i++)
        {
            ReadOnlySpan<byte> header = image.Slice(table + i * 64, 64);
            sections[i] = new Section(
                BinaryPrimitives.ReadUInt32LittleEndian(header[4..]),
                (int)BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
                (int)BinaryPrimitives.ReadInt64LittleEndian(header[32..]),
                BinaryPrimitives.ReadInt32LittleEndian(header[40..]),
                BinaryPrimitives.ReadInt32LittleEndian(header[44..]));
        }

        return sections;
    }

    /// <summary>Offsets of the entries (vernaux) that name a version.</summary>
    private static List<int> FindNeeds(ReadOnlySpan<byte> image, Section needs, Section names, string version)
    {
        ReadOnlySpan<byte> wanted = Encoding.ASCII.GetBytes(version + "\0");
        List<int> found = [];
        int file = needs.Offset;
        for (int i = 0; i < needs.Info; i++)
        {
            int entry = file + BinaryPrimitives.ReadInt32LittleEndian(image[(file + 8)..]);
            for (int left = BinaryPrimitives.ReadUInt16LittleEndian(image[(file + 2)..]); left > 0; left--)
            {
                if (image[(names.Offset + BinaryPrimitives.ReadInt32LittleEndian(image[(entry + 8)..]))..].StartsWith(wanted))
                    found.Add(entry);
                entry += BinaryPrimitives.ReadInt32LittleEndian(image[(entry + 12)..]);
            }

            file += BinaryPrimitives.ReadInt32LittleEndian(image[(file + 12)..]);
        }

        return found;
    }

    private static bool UsesVersion(ReadOnlySpan<byte> image, Section[] sections, List<int> indexes)
    {
        Section versions = sections.First(section => section.Kind == Section.SymbolVersions);
        foreach (Section relocations in sections)
        {
            if (relocations.Kind != Section.Relocations || relocations.Link != versions.Link)
                continue;
            for (int at = relocations.Offset; at < relocations.Offset + relocations.Size; at += 24)
            {
                int symbol = BinaryPrimitives.ReadInt32LittleEndian(image[(at + 12)..]);
                if (indexes.Contains(BinaryPrimitives.ReadUInt16LittleEndian(image[(versions.Offset + 2 * symbol)..]) & 0x7fff))
                    return true;
            }
        }

        return false;
    }
}
