using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>The GNU C++ standard library, libstdc++, and the newest symbol version GLIBCXX_3.4.N that it has.</summary>
/// <param name="Path">Where the library lies.</param>
/// <param name="NewestSymbolVersion">N of the newest GLIBCXX_3.4.N; 0 where none was found.</param>
internal sealed record CppLibrary(string Path, int NewestSymbolVersion)
{
    /// <summary>N of the GLIBCXX_3.4.N that TorchSharp's native library asks for: GCC 13.2.</summary>
    internal const int NeededSymbolVersion = 32;

    internal bool IsTooOld => NewestSymbolVersion is > 0 and < NeededSymbolVersion;

    /// <summary>Reads the version of the libstdc++ that this process has loaded, as .NET itself uses it, or returns
    /// <see langword="null"/>.</summary>
    internal static CppLibrary? OfThisProcess()
    {
        const string MemoryMap = "/proc/self/maps";
        return File.Exists(MemoryMap) ? FromMemoryMap(File.ReadLines(MemoryMap)) : null;
    }

    /// <summary>Reads the version of the first existing libstdc++ that a Linux memory map names.</summary>
    internal static CppLibrary? FromMemoryMap(IEnumerable<string> lines)
    {
        string? path = lines
            .Where(line => line.Contains("/libstdc++.so", StringComparison.Ordinal))
            .Select(line => line[line.IndexOf('/', StringComparison.Ordinal)..])
            .FirstOrDefault(File.Exists);
        return path is null ? null : FromFile(path);
    }

    internal static CppLibrary FromFile(string path) => new(path, FindNewestSymbolVersion(File.ReadAllBytes(path)));

    internal string Describe() =>
        $"it needs GLIBCXX_3.4.{NeededSymbolVersion}, and the C++ standard library of this system, {Path}, has nothing newer than "
        + $"GLIBCXX_3.4.{NewestSymbolVersion}. Ubuntu 24.04, Debian 13, Fedora 39 and later have it. On Debian 12, install libstdc++6 "
        + "from Debian 13 (trixie), as root: echo 'deb http://deb.debian.org/debian trixie main' > /etc/apt/sources.list.d/trixie.list "
        + "&& apt-get update && apt-get install -y --no-install-recommends libstdc++6; rm /etc/apt/sources.list.d/trixie.list; apt-get update";

    private static int FindNewestSymbolVersion(ReadOnlySpan<byte> image)
    {
        ReadOnlySpan<byte> prefix = "GLIBCXX_3.4."u8;
        int newest = 0;
        for (int at = image.IndexOf(prefix); at >= 0; at = image.IndexOf(prefix))
        {
            image = image[(at + prefix.Length)..];
            int end = image.IndexOf((byte)0);
            if (end > 0 && int.TryParse(image[..end], NumberStyles.None, CultureInfo.InvariantCulture, out int version))
                newest = Math.Max(newest, version);
        }

        return newest;
    }
}
