using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using TorchSharp;

namespace Microsoft.ML.Leap;

/// <summary>Loads TorchSharp's native library, or says why it cannot be loaded and what to do.</summary>
/// <remarks>Every public entry calls <see cref="EnsureLoaded"/> before it touches torch: TorchSharp's own failure is a type
/// initializer that fails for good, after printing a trace to the console. Thread-safe.</remarks>
internal static class NativeBackend
{
    private static readonly Lock Gate = new();
    private static volatile bool s_loaded;

    /// <summary>Loads the native library once in the process, after <see cref="AllocatorSettings.Apply"/>
    /// and <see cref="ThreadSettings.Apply"/>.</summary>
    /// <exception cref="InvalidOperationException">The library cannot be loaded; the message says why and what to do, and the inner
    /// exception is the loader's. A later call tries again unless TorchSharp itself has failed before.</exception>
    internal static void EnsureLoaded()
    {
        if (s_loaded)
            return;

        lock (Gate)
        {
            if (s_loaded)
                return;
            AllocatorSettings.Apply();
            ThreadSettings.Apply();
            Load();
            s_loaded = true;
        }
    }

    private static void Load()
    {
        Exception? failure = TryLoad();
        if (failure is not null)
        {
            NativeBackendFacts facts = NativeBackendFacts.Collect(failure.Message);
            if (OperatingSystem.IsLinux() && facts.NeedsCopy)
                LoadCopy(facts.LibTorchPath!);
            else if (facts.LibTorchPath is string path && TryLoad(Path.GetDirectoryName(path)!) is null)
                failure = null;
            else if (facts.IsCppLibraryTooOld || !facts.IsInPackageFolder)
                throw new InvalidOperationException(facts.Describe(), failure);
        }

        InitializeTorchSharp();
    }

    [SupportedOSPlatform("linux")]
    private static void LoadCopy(string libTorchPath)
    {
        try
        {
            NativeLibraryCopy.Load(Path.GetDirectoryName(libTorchPath)!, NativeBackendFacts.SearchFolders(), CppLibrary.NeededVersionName);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or DllNotFoundException or BadImageFormatException)
        {
            throw new InvalidOperationException(
                $"TorchSharp's native library cannot be loaded: the C++ standard library of this system lacks {CppLibrary.NeededVersionName}, and "
                + $"the copy in {NativeLibraryCopy.CacheFolder()} that does without it cannot be used: {exception.Message} The environment variable "
                + "XDG_CACHE_HOME names another cache folder.",
                exception);
        }
    }

    /// <summary>Loads by name as TorchSharp does, so that its own attempt finds the library in the process.</summary>
    /// <param name="libTorchFolder">Where libtorch lies; <see langword="null"/> for where the loader looks.</param>
    private static Exception? TryLoad(string? libTorchFolder = null)
    {
        Assembly torchSharp = typeof(torch).Assembly;
        try
        {
            // LibTorchSharp needs them, and may lie in another folder.
            if (libTorchFolder is null)
                NativeLibrary.TryLoad("torch_cpu", torchSharp, null, out _);
            else
                LoadLibTorch(libTorchFolder);
            NativeLibrary.Load("LibTorchSharp", torchSharp, null);
            return null;
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            return exception;
        }
    }

    private static void LoadLibTorch(string folder)
    {
        foreach (string name in (string[])["c10", "torch_cpu", "torch"])
            NativeLibrary.Load(Path.Combine(folder, OperatingSystem.IsWindows() ? $"{name}.dll" : OperatingSystem.IsMacOS() ? $"lib{name}.dylib" : $"lib{name}.so"));
    }

    /// <summary>Lets TorchSharp register the library, or copy it from the NuGet folder where the application did not bring it.</summary>
    private static void InitializeTorchSharp()
    {
        try
        {
            torch.InitializeDeviceType(DeviceType.CPU);
        }
        catch (Exception exception) when (exception is TypeInitializationException or NotSupportedException)
        {
            Exception cause = exception.GetBaseException();
            throw new InvalidOperationException(NativeBackendFacts.Collect(cause.Message).Describe(), cause);
        }
    }
}

/// <summary>What is known about a native library that did not load; <see cref="Describe"/> turns it into advice.</summary>
/// <param name="Platform">Operating system and processor, as in package names: linux-x64.</param>
/// <param name="IsMusl">Whether the C library is musl, as in Alpine Linux.</param>
/// <param name="LibTorchPath">libtorch in the folders where the runtime looks, or in that of its NuGet package; <see langword="null"/> if none.</param>
/// <param name="IsInPackageFolder">Whether libtorch lies in the NuGet folder, from where TorchSharp copies it.</param>
/// <param name="CppLibrary">The C++ standard library of the process; <see langword="null"/> where unknown.</param>
/// <param name="LoaderMessage">What the loader said.</param>
internal sealed record NativeBackendFacts(
    string Platform,
    bool IsMusl,
    string? LibTorchPath,
    bool IsInPackageFolder,
    CppLibrary? CppLibrary,
    string LoaderMessage)
{
    private static readonly string[] SupportedPlatforms = ["linux-x64", "win-x64", "win-arm64", "osx-arm64"];

    // Written by the project file: torch's own properties cannot be read before the native library is there.
    private static readonly string TorchSharpVersion = BuildFact("TorchSharpVersion");
    private static readonly string LibTorchVersion = BuildFact("LibTorchVersion");

    internal bool IsCppLibraryTooOld => CppLibrary is { IsTooOld: true };

    /// <summary>Gets whether all is there but the newest symbol version of the C++ library, which a copy of TorchSharp's library does
    /// without.</summary>
    internal bool NeedsCopy => Platform == "linux-x64" && LibTorchPath is not null && CppLibrary is { NeedsCopy: true };

    internal static NativeBackendFacts Collect(string loaderMessage)
    {
        string platform = PlatformName();
        string[] folders = [.. SearchFolders(), PackageFolder(platform)];
        return new NativeBackendFacts(
            platform,
            RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal),
            FindLibTorch(folders),
            IsRestored(NuGetFolder(), platform),
            OperatingSystem.IsLinux() ? Leap.CppLibrary.OfThisProcess() : null,
            loaderMessage);
    }

    /// <summary>Says what is wrong and what to do.</summary>
    internal string Describe() => "TorchSharp's native library cannot be loaded: " + string.Join(" Besides, ", Problems());

    private List<string> Problems()
    {
        if (IsMusl)
            return ["it needs glibc, and this system's C library is musl. Use a Debian- or Ubuntu-based system or container image."];
        if (!SupportedPlatforms.Contains(Platform))
            return [$"there is none for {Platform}, only for {string.Join(", ", SupportedPlatforms)} processes."];

        List<string> problems = [];
        if (CppLibrary is { IsTooOld: true } old)
            problems.Add(old.Describe());
        if (LibTorchPath is null && !IsInPackageFolder)
            problems.Add("the application does not bring libtorch. Add one of these packages to the application's project: "
                + $"{string.Join(", ", BackendPackages())}. Microsoft.ML.Leap leaves that choice to the application.");
        return problems.Count > 0 ? problems : [DescribeUnknown()];
    }

    private string DescribeUnknown() =>
        $"libtorch is there{(LibTorchPath is null ? "" : $" ({LibTorchPath})")}, but the loader refuses it. TorchSharp "
        + $"{TorchSharpVersion} needs libtorch {LibTorchVersion} with all files of its package. The loader says: {LoaderMessage}";

    /// <summary>Gets the package of libtorch for the CPU that goes with TorchSharp on this system.</summary>
    internal static (string Name, string Version) CpuPackage => ($"libtorch-cpu-{PlatformName()}", LibTorchVersion);

    /// <summary>Gets where that package's files lie once it is restored.</summary>
    private static string PackageFolder(string platform) =>
        Path.Combine(NuGetFolder(), $"libtorch-cpu-{platform}", LibTorchVersion, "runtimes", platform, "native");

    /// <summary>Finds libtorch in the given folders or returns <see langword="null"/>.</summary>
    internal static string? FindLibTorch(IEnumerable<string> folders)
    {
        string file = OperatingSystem.IsWindows() ? "torch_cpu.dll" : OperatingSystem.IsMacOS() ? "libtorch_cpu.dylib" : "libtorch_cpu.so";
        return folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
    }

    /// <summary>Whether a libtorch package for the platform lies in the NuGet folder.</summary>
    internal static bool IsRestored(string nugetFolder, string platform) => Directory.Exists(nugetFolder)
        && Directory.EnumerateDirectories(nugetFolder, "libtorch-c*").Any(path => Path.GetFileName(path).EndsWith(platform, StringComparison.Ordinal));

    private IEnumerable<string> BackendPackages()
    {
        yield return $"libtorch-cpu-{Platform} {LibTorchVersion} (CPU, this system only)";
        yield return $"TorchSharp-cpu {TorchSharpVersion} (CPU, all systems)";
        if (Platform is "linux-x64" or "win-x64")
            yield return $"TorchSharp-cuda-{(Platform == "linux-x64" ? "linux" : "windows")} {TorchSharpVersion} (NVIDIA GPU)";
    }

    private static string PlatformName()
    {
        string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : OperatingSystem.IsLinux() ? "linux" : "other";
        return $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
    }

    /// <summary>The folders where the runtime, and on Linux then the system, look for native libraries.</summary>
    internal static IEnumerable<string> SearchFolders()
    {
        string[] named = Split(AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string);
        string[] systems = OperatingSystem.IsLinux() ? Split(Environment.GetEnvironmentVariable("LD_LIBRARY_PATH")) : [];
        return [.. named, AppContext.BaseDirectory, .. systems];
    }

    private static string[] Split(string? folders) => folders?.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static string NuGetFolder() => Environment.GetEnvironmentVariable("NUGET_PACKAGES")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    private static string BuildFact(string key) => typeof(NativeBackendFacts).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(fact => fact.Key == key).Value!;
}

/// <summary>The GNU C++ standard library, libstdc++, and the newest symbol version GLIBCXX_3.4.N that it has.</summary>
/// <param name="Path">Where the library lies.</param>
/// <param name="NewestSymbolVersion">N of the newest GLIBCXX_3.4.N; 0 where none was found.</param>
internal sealed record CppLibrary(string Path, int NewestSymbolVersion)
{
    /// <summary>N of the GLIBCXX_3.4.N that TorchSharp's native library asks for: GCC 13.2.</summary>
    internal const int NeededSymbolVersion = 32;

    /// <summary>N of the newest GLIBCXX_3.4.N of which TorchSharp's native library uses a symbol: GCC 12.</summary>
    internal const int UsedSymbolVersion = 30;

    internal static string NeededVersionName => $"GLIBCXX_3.4.{NeededSymbolVersion}";

    internal bool IsTooOld => NewestSymbolVersion > 0 && NewestSymbolVersion < OldestSymbolVersion;

    internal bool NeedsCopy => NewestSymbolVersion >= OldestSymbolVersion && NewestSymbolVersion < NeededSymbolVersion;

    private static int OldestSymbolVersion => NativeLibraryCopy.IsDisabled ? NeededSymbolVersion : UsedSymbolVersion;

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
        $"it needs GLIBCXX_3.4.{OldestSymbolVersion}, and the C++ standard library of this system, {Path}, has nothing newer than "
        + $"GLIBCXX_3.4.{NewestSymbolVersion}. "
        + (NativeLibraryCopy.IsDisabled
            ? $"Turn the switch {NativeLibraryCopy.SwitchName} off, or use Debian 13, Ubuntu 24.04, Fedora 39 or a later system."
            : "Use Debian 12, Ubuntu 22.04, Fedora 36 or a later system.");

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
