namespace Microsoft.ML.Leap.Tests;

/// <summary>The page that a server sends, with the server as its engine.</summary>
[TestClass]
public class ServerPageTests : PageTests
{
    [TestMethod]
    public async Task Page_WhereTheServerWantsAKey_AsksForIt()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options => options.ApiKey = "secret");
        await using Playwright.IBrowserContext context = await Browser.NewContextAsync();
        Playwright.IPage page = await context.NewPageAsync();
        page.Dialog += (_, dialog) => dialog.AcceptAsync("secret");

        await page.GotoAsync(server.Client.BaseAddress!.ToString());

        await Expect(page.Locator("#text")).ToBeEnabledAsync();
    }

    [TestMethod]
    public async Task Page_InAGroupWithoutASlash_FindsItsFilesAndTheModel()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, group: "/models/leap");
        Playwright.IPage page = await Browser.NewPageAsync();

        await page.GotoAsync($"{server.Client.BaseAddress}models/leap?from=here");

        await Expect(page.Locator("#text")).ToBeEnabledAsync();
        Assert.AreEqual($"{server.Client.BaseAddress}models/leap/?from=here", page.Url);
        await page.CloseAsync();
    }

    private protected override async Task<(string Address, IAsyncDisposable Server)> ServeAsync()
    {
        RunningServer server = await RunningServer.StartAsync(Model);
        return (server.Client.BaseAddress!.ToString(), server);
    }
}
