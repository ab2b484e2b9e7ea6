using System.Text;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class CppLibraryTests
{
    private readonly string _path = Path.GetTempFileName();

    [TestCleanup]
    public void Cleanup() => File.Delete(_path);

    [TestMethod]
    [DataRow("\0GLIBCXX_3.4\0GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0GLIBCXX_3.4.29\0", 30, false, DisplayName = "numbers, not text, are compared")]
    [DataRow("\0GLIBCXX_3.4.29\0CXXABI_1.3.99\0", 29, true, DisplayName = "GCC 11")]
    [DataRow("\0GLIBCXX_3.4.32\0", 32, false, DisplayName = "GCC 13.2")]
    [DataRow("\0GLIBCXX_3.4.33\0GLIBCXX_LDBL_3.4.99\0GLIBCXX_3.4.x\0", 33, false, DisplayName = "GCC 14")]
    [DataRow("no version here", 0, false, DisplayName = "an unknown version is not called too old")]
    [DataRow("GLIBCXX_3.4.", 0, false, DisplayName = "cut off")]
    public void FromFile_Symbols_NewestIsFound(string content, int newest, bool tooOld)
    {
        File.WriteAllBytes(_path, [0x7f, 0xff, .. Encoding.Latin1.GetBytes(content), 0xfe]);

        CppLibrary library = CppLibrary.FromFile(_path);

        Assert.AreEqual(newest, library.NewestSymbolVersion);
        Assert.AreEqual(tooOld, library.IsTooOld);
    }

    [TestMethod]
    public void FromMemoryMap_LibraryMapped_IsRead()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        string path = Path.Combine(folder, "libstdc++.so.6.0.30");
        File.WriteAllText(path, "\0GLIBCXX_3.4.30\0");

        CppLibrary? library = CppLibrary.FromMemoryMap(
        [
            "7f0000000000-7f0000001000 r-xp 00000000 fe:00 12 /lib/libm.so.6",
            "7f0000000000-7f0000001000 r-xp 00000000 fe:00 12 /nowhere/libstdc++.so.6",
            $"7f0000000000-7f0000001000 r-xp 00000000 fe:00 12 {path}",
        ]);

        Directory.Delete(folder, recursive: true);
        Assert.AreEqual(new CppLibrary(path, 30), library);
    }

    [TestMethod]
    public void FromMemoryMap_NoLibrary_IsNull() => Assert.IsNull(CppLibrary.FromMemoryMap(["7f0000000000-7f0000001000 rw-p 00000000 00:00 0"]));

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void OfThisProcess_TorchLoads_IsNewEnough()
    {
        NativeBackend.EnsureLoaded();

        CppLibrary? library = CppLibrary.OfThisProcess();

        Assert.IsNotNull(library);
        Assert.IsGreaterThanOrEqualTo(CppLibrary.UsedSymbolVersion, library.NewestSymbolVersion);
    }
}
