using BrowserCheck;
using Microsoft.Playwright;

namespace Microsoft.ML.Leap.Tests;

/// <summary>samples/Browser as it is built, with its engine in the tab: static files alone.</summary>
[TestClass]
public class BrowserSampleTests : PageTests
{
    // Starting .NET in a tab takes seconds, so tests share a page.
    private static OpenedPage? s_shared;

    [ClassCleanup]
    public static async Task CloseShared()
    {
        if (s_shared is not null)
            await s_shared.CloseAsync();
        s_shared = null;
    }

    [TestMethod]
    public async Task File_Chosen_ReplacesTheModel()
    {
        await using OpenedPage opened = await base.OpenAsync();
        IPage page = opened.Page;
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "other.zip");
        LeapLanguageModel other = TrainedModel.Transformer.Model;
        Save(TrainedModel.Transformer, path);
        await page.FillAsync("#text", "a dog");

        await page.SetInputFilesAsync("#file", path);

        await Expect(page.Locator("#model")).ToContainTextAsync("other.zip");
        FocusReport report = other.Explain("a dog");
        await page.WaitForFunctionAsync(
            "bits => Math.abs(document.querySelector('.token').dataset.bits - bits) < 1e-4", report.Tokens[1].Surprisal);
    }

    [TestMethod]
    public async Task File_NoModel_IsRefusedInWordsAndTheOldModelStays()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;

        await page.SetInputFilesAsync("#file", new FilePayload { Name = "notes.zip", MimeType = "application/zip", Buffer = [1, 2, 3] });

        await Expect(page.Locator("#model")).ToContainTextAsync("The zip cannot be read");
        await page.FillAsync("#text", "a dog");
        await Expect(page.Locator(".token")).ToHaveCountAsync(5);
    }

    /// <summary>Writes the pictures of docs/browser.md.</summary>
    [TestMethod]
    [TestCategory("Screenshots")]
    [DataRow(ColorScheme.Light)]
    [DataRow(ColorScheme.Dark)]
    public async Task Page_LightAndDark_CanBePhotographed(ColorScheme scheme)
    {
        using var folder = new TemporaryFolder();
        await using OpenedPage opened = await OpenAsync(scheme);
        await opened.Page.FillAsync("#text", "the cat sat on the mat and the dog zzqx");
        await Expect(opened.Page.Locator("#strangest button").First).ToBeVisibleAsync();

        await TakeScreenshotAsync(opened.Page, folder, $"page-{scheme}.png");
    }

    private protected override async Task<OpenedPage> OpenAsync(ColorScheme scheme = ColorScheme.Light)
    {
        if (s_shared is null)
            s_shared = (await base.OpenAsync(scheme)).Share();
        else
            await s_shared.ResetAsync(scheme);
        return s_shared;
    }

    private protected override async Task<(string Address, IAsyncDisposable Server)> ServeAsync()
    {
        var folder = new TemporaryFolder();
        Save(HostileModel.Transformer, Path.Combine(folder.Path, "model.zip"));
        string built = Path.Combine(Path.GetDirectoryName(ProgramProcess.GetPath("Browser"))!, "wwwroot");
        StaticSite site = await StaticSite.StartAsync(
            built, Path.Combine(AppContext.BaseDirectory, "Samples", "Browser"), Path.Combine(AppContext.BaseDirectory, "Samples", "Page"), folder.Path);
        return (site.Address, new SiteAndFolder(site, folder));
    }

    private static void Save(LeapLanguageModelTransformer model, string path) =>
        TrainedModel.Context.Leap().Save(model, TinyModel.View(TrainedModel.Context).Schema, path);

    private sealed class SiteAndFolder(StaticSite site, TemporaryFolder folder) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await site.DisposeAsync();
            folder.Dispose();
        }
    }
}
