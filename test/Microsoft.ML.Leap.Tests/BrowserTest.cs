using Microsoft.Playwright;
using Microsoft.Playwright.MSTest;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Tests in a real browser: Chromium from <c>LEAP_CHROMIUM</c> or the path; inconclusive where there is none
/// (<c>eng/install-browser.sh</c>).</summary>
public abstract class BrowserTest : PlaywrightTest
{
    private const string Variable = "LEAP_CHROMIUM";

    private static IBrowser? s_browser;

    private protected static IBrowser Browser => s_browser!;

    [TestInitialize]
    public async Task Launch()
    {
        string? path = FindChromium();
        if (path is null)
            Assert.Inconclusive($"No Chromium is installed: run eng/install-browser.sh, or set {Variable} to one.");
        s_browser ??= await Playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = path, Args = ["--no-sandbox"] });
    }

    [ClassCleanup(InheritanceBehavior.BeforeEachDerivedClass)]
    public static async Task Close()
    {
        if (s_browser is not null)
            await s_browser.DisposeAsync();
        s_browser = null;
    }

    /// <summary>Writes a picture of the whole page to the folder that eng/screenshots.sh names, or to another.</summary>
    private protected static async Task TakeScreenshotAsync(IPage page, TemporaryFolder other, string name)
    {
        string path = Path.Combine(Environment.GetEnvironmentVariable("LEAP_SCREENSHOTS") ?? other.Path, name.ToLowerInvariant());
        await page.ScreenshotAsync(new PageScreenshotOptions { Path = path, FullPage = true });
        Assert.IsGreaterThan(1000, new FileInfo(path).Length);
    }

    private static string? FindChromium()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
            return File.Exists(given) ? given : throw new FileNotFoundException($"{Variable} names '{given}', which does not exist.");
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        return folders.SelectMany(folder => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
    }
}
