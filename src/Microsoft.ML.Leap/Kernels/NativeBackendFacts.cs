using System.Reflection;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>What is known about a native library that did not load; <see cref="Describe"/> turns it into advice.</summary>
/// <param name="Platform">Operating system and processor, as in package names: linux-x64.</param>
/// <param name="IsMusl">Whether the C library is musl, as in Alpine Linux.</param>
/// <param name="LibTorchPath">libtorch in the folders where the runtime looks; <see langword="null"/> if none.</param>
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

    internal static NativeBackendFacts Collect(string loaderMessage)
    {
        string platform = PlatformName();
        string[] folders = [.. SearchFolders()];
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

    private static IEnumerable<string> SearchFolders()
    {
        string? known = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string;
        string[] named = known?.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) ?? [];
        return named.Append(AppContext.BaseDirectory);
    }

    private static string NuGetFolder() => Environment.GetEnvironmentVariable("NUGET_PACKAGES")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    private static string BuildFact(string key) => typeof(NativeBackendFacts).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(fact => fact.Key == key).Value!;
}
