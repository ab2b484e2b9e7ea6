using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class NativeBackendTests
{
    private static readonly NativeBackendFacts Complete =
        new("linux-x64", IsMusl: false, "/app/libtorch_cpu.so", IsInPackageFolder: true, new CppLibrary("/lib/libstdc++.so.6", 33), "the loader's words");

    [TestMethod]
    public void EnsureLoaded_ManyThreads_TorchWorks()
    {
        Parallel.For(0, 8, _ => NativeBackend.EnsureLoaded());

        using torch.Tensor two = torch.ones(2).sum();
        Assert.AreEqual(2f, two.item<float>());
    }

    [TestMethod]
    public void Collect_LibraryLoads_FindsLibTorch()
    {
        NativeBackend.EnsureLoaded();

        NativeBackendFacts facts = NativeBackendFacts.Collect("");

        Assert.IsTrue(File.Exists(facts.LibTorchPath), $"{facts}");
        Assert.IsFalse(facts.IsCppLibraryTooOld, $"{facts}");
    }

    [TestMethod]
    public void SearchFolders_OnLinux_AreAlsoThoseOfItsLoader()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("LD_LIBRARY_PATH is Linux's.");
        const string Variable = "LD_LIBRARY_PATH";
        string? before = Environment.GetEnvironmentVariable(Variable);
        Environment.SetEnvironmentVariable(Variable, "/opt/pytorch/lib:/opt/other");
        try
        {
            CollectionAssert.IsSubsetOf(new[] { "/opt/pytorch/lib", "/opt/other" }, NativeBackendFacts.SearchFolders().ToArray());
        }
        finally
        {
            Environment.SetEnvironmentVariable(Variable, before);
        }
    }

    [TestMethod]
    public void Describe_NoLibTorch_NamesPackages()
    {
        string text = (Complete with { LibTorchPath = null, IsInPackageFolder = false }).Describe();

        StringAssert.Contains(text, "does not bring libtorch");
        StringAssert.Contains(text, "libtorch-cpu-linux-x64 2.");
        StringAssert.Contains(text, "TorchSharp-cpu 0.");
        StringAssert.Contains(text, "TorchSharp-cuda-linux 0.");
    }

    [TestMethod]
    public void Describe_NoLibTorchOnMac_NamesNoCuda()
    {
        string text = (Complete with { Platform = "osx-arm64", LibTorchPath = null, IsInPackageFolder = false }).Describe();

        StringAssert.Contains(text, "libtorch-cpu-osx-arm64 2.");
        Assert.IsFalse(text.Contains("cuda", StringComparison.OrdinalIgnoreCase), text);
    }

    [TestMethod]
    public void Describe_OldCppLibrary_NamesBothVersionsAndSystems()
    {
        string text = (Complete with { CppLibrary = new CppLibrary("/lib/libstdc++.so.6", 29) }).Describe();

        StringAssert.Contains(text, "/lib/libstdc++.so.6");
        StringAssert.Contains(text, "GLIBCXX_3.4.29");
        StringAssert.Contains(text, "GLIBCXX_3.4.30");
        StringAssert.Contains(text, "Debian 12");
    }

    [TestMethod]
    public void Describe_OldCppLibraryAndNoLibTorch_SpeaksOfBoth()
    {
        string text = (Complete with { CppLibrary = new CppLibrary("x", 29), LibTorchPath = null, IsInPackageFolder = false }).Describe();

        StringAssert.Contains(text, "GLIBCXX_3.4.29");
        StringAssert.Contains(text, "libtorch-cpu-linux-x64");
    }

    [TestMethod]
    [DataRow(29, false, DisplayName = "Debian 11: symbols that are used are missing")]
    [DataRow(30, true, DisplayName = "Debian 12, Ubuntu 22.04")]
    [DataRow(31, true, DisplayName = "GCC 13.1")]
    [DataRow(32, false, DisplayName = "GCC 13.2: the library loads as it is")]
    public void NeedsCopy_CppLibrary_OnlyWhereTheUnusedVersionAloneIsMissing(int newest, bool expected) =>
        Assert.AreEqual(expected, (Complete with { CppLibrary = new CppLibrary("x", newest) }).NeedsCopy);

    [TestMethod]
    public void NeedsCopy_SwitchIsOn_IsFalseAndTheMessageNamesTheSwitch()
    {
        NativeBackendFacts facts = Complete with { CppLibrary = new CppLibrary("x", 30) };
        AppContext.SetSwitch(NativeLibraryCopy.SwitchName, true);
        try
        {
            Assert.IsFalse(facts.NeedsCopy);
            StringAssert.Contains(facts.Describe(), NativeLibraryCopy.SwitchName);
        }
        finally
        {
            AppContext.SetSwitch(NativeLibraryCopy.SwitchName, false);
        }
    }

    [TestMethod]
    public void Describe_UnsupportedProcessor_NamesSupported()
    {
        string text = (Complete with { Platform = "linux-arm64" }).Describe();

        StringAssert.Contains(text, "none for linux-arm64");
        StringAssert.Contains(text, "linux-x64, win-x64, win-arm64, osx-arm64");
    }

    [TestMethod]
    public void Describe_Musl_SaysGlibc() => StringAssert.Contains((Complete with { IsMusl = true }).Describe(), "needs glibc");

    [TestMethod]
    public void Describe_OtherReason_PassesTheLoadersWordsOn()
    {
        string text = Complete.Describe();

        StringAssert.Contains(text, "/app/libtorch_cpu.so");
        StringAssert.Contains(text, "the loader's words");
    }

    [TestMethod]
    public void IsRestored_PackageOfThisPlatform_IsFound()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        Directory.CreateDirectory(Path.Combine(folder, "libtorch-cpu-win-x64"));

        bool other = NativeBackendFacts.IsRestored(folder, "linux-x64");
        bool same = NativeBackendFacts.IsRestored(folder, "win-x64");

        Directory.Delete(folder, recursive: true);
        Assert.IsFalse(other);
        Assert.IsTrue(same);
        Assert.IsFalse(NativeBackendFacts.IsRestored(folder, "win-x64"), "a missing folder holds nothing");
    }
}
