using System.Runtime.Versioning;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class NativeLibraryCopyTests
{
    private const string Version = "GLIBCXX_3.4.32";

    private static readonly byte[] Library = File.ReadAllBytes(
        NativeBackendFacts.SearchFolders().Select(folder => Path.Combine(folder, "libLibTorchSharp.so")).First(File.Exists));

    [TestMethod]
    public void MakeVersionWeak_TorchSharpsLibrary_OneFlagDiffers()
    {
        byte[] copy = NativeLibraryCopy.MakeVersionWeak(Library, Version);

        int[] places = [.. Enumerable.Range(0, Library.Length).Where(i => copy[i] != Library[i])];
        Assert.HasCount(1, places);
        Assert.AreEqual(0, Library[places[0]]);
        Assert.AreEqual(2, copy[places[0]]);
        // The entry begins with the hash of the name, four bytes before the flags (System V ABI).
        Assert.AreEqual(HashName(Version), BitConverter.ToUInt32(copy, places[0] - 4));
    }

    [TestMethod]
    public void MakeVersionWeak_VersionThatIsUsed_IsRefused()
    {
        var error = Assert.ThrowsExactly<BadImageFormatException>(() => NativeLibraryCopy.MakeVersionWeak(Library, "GLIBCXX_3.4.30"));

        StringAssert.Contains(error.Message, "uses a symbol of GLIBCXX_3.4.30");
    }

    [TestMethod]
    public void MakeVersionWeak_VersionThatIsNotNeeded_IsRefused() =>
        Assert.ThrowsExactly<BadImageFormatException>(() => NativeLibraryCopy.MakeVersionWeak(Library, "GLIBCXX_3.4.99"));

    [TestMethod]
    [DataRow(0)]
    [DataRow(3)]
    [DataRow(63)]
    [DataRow(4096)]
    public void MakeVersionWeak_CutOff_IsRefused(int length) =>
        Assert.ThrowsExactly<BadImageFormatException>(() => NativeLibraryCopy.MakeVersionWeak(Library.AsSpan(0, length), Version));

    [TestMethod]
    public void Write_CopyWasChanged_IsWrittenAnewForTheOwnerAlone()
    {
        using var folder = new TemporaryFolder();
        string cache = Path.Combine(folder.Path, "cache");
        string path = NativeLibraryCopy.Write([1, 2, 3], cache);
        File.WriteAllBytes(path, [1, 2, 4]);

        string again = NativeLibraryCopy.Write([1, 2, 3], cache);

        Assert.AreEqual(path, again);
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3 }, File.ReadAllBytes(path));
        UnixFileMode all = File.GetUnixFileMode(cache) | File.GetUnixFileMode(Path.GetDirectoryName(path)!) | File.GetUnixFileMode(path);
        Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, all);
        Assert.HasCount(1, Directory.GetFiles(cache, "*", SearchOption.AllDirectories));
    }

    [TestMethod]
    public void Write_CopyIsThere_StaysAsItIs()
    {
        using var folder = new TemporaryFolder();
        string path = NativeLibraryCopy.Write([1, 2, 3], folder.Path);
        var longAgo = new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(path, longAgo);

        NativeLibraryCopy.Write([1, 2, 3], folder.Path);

        Assert.AreEqual(longAgo, File.GetLastWriteTimeUtc(path));
    }

    private static uint HashName(string name)
    {
        uint hash = 0;
        foreach (char c in name)
        {
            hash = (hash << 4) + c;
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }
}
