using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The page of a model in a real browser, whatever engine is behind it. Its numbers are the library's own.</summary>
public abstract class PageTests : BrowserTest
{
    private const double Tolerance = 1e-4;

    private const string Text = "the <b>cat</b> sat on\nthe mat";

    private protected static LeapLanguageModel Model => HostileModel.Transformer.Model;

    /// <summary>Serves the page; its address, and what to stop.</summary>
    private protected abstract Task<(string Address, IAsyncDisposable Server)> ServeAsync();

    [TestMethod]
    public async Task Text_Typed_IsColouredByTheLibrarysNumbers()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;
        FocusReport report = Model.Explain(Text);

        await page.FillAsync("#text", Text);

        await Expect(page.Locator("#tokens")).ToHaveTextAsync($"{report.Tokens.Count - 1}");
        await Expect(page.Locator(".token")).ToHaveCountAsync(report.Tokens.Count - 1);
        double[] bits = await ValuesAsync(page, "one => +one.dataset.bits");
        double[] colours = await ValuesAsync(page, "one => +one.style.getPropertyValue('--v')");
        foreach (FocusToken token in report.Tokens.Skip(1))
        {
            Assert.AreEqual(token.Surprisal, bits[token.Index - 1], Tolerance, $"token {token.Index}");
            Assert.AreEqual(Math.Min(1, token.Surprisal / 12), colours[token.Index - 1], Tolerance, $"token {token.Index}");
        }

        Assert.AreEqual(Model.Score(Text).Perplexity, double.Parse(await page.InnerTextAsync("#perplexity")), 0.06);
        await page.ClickAsync("summary");
        await Expect(page.Locator("#rows tr")).ToHaveCountAsync(report.Tokens.Count - 1);
        Assert.AreEqual(0, await page.Locator("#reading b").CountAsync());
        opened.AssertFaultless();
    }

    [TestMethod]
    public async Task Colours_FocusOfAHead_AreTheLibrarys()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;
        FocusReport report = Model.Explain(Text);
        await page.FillAsync("#text", Text);
        await Expect(page.Locator(".token")).ToHaveCountAsync(report.Tokens.Count - 1);

        await page.SelectOptionAsync("#colours", "focus");
        AssertFocus(report.Focus, await ValuesAsync(page, "one => +one.dataset.focus"));
        await Expect(page.Locator("#head")).ToBeDisabledAsync();
        await page.SelectOptionAsync("#layer", "1");
        AssertFocus(report.GetFocus(1), await ValuesAsync(page, "one => +one.dataset.focus"));
        await page.SelectOptionAsync("#head", "0");
        AssertFocus(report.GetFocus(1, 0), await ValuesAsync(page, "one => +one.dataset.focus"));
        opened.AssertFaultless();
    }

    [TestMethod]
    public async Task Text_LongerThanTheContext_IsReadInPieces()
    {
        await using OpenedPage opened = await OpenAsync();
        string text = string.Join(' ', Enumerable.Repeat("the cat sat on the mat.", 9));

        await opened.Page.FillAsync("#text", text);

        await Expect(opened.Page.Locator("#notice")).ToContainTextAsync("pieces");
        string shown = await opened.Page.EvalOnSelectorAsync<string>("#reading", "all => all.textContent");
        Assert.AreEqual(text, shown);
    }

    [TestMethod]
    public async Task Text_HebrewInByteTokens_ShowsEachLetterOnceFromRightToLeft()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;
        FocusReport report = Model.Explain("שלום");

        await page.FillAsync("#text", "שלום");

        await Expect(page.Locator(".token")).ToHaveTextAsync(["ש", "ל", "ו", "ם"]);
        double[] bits = await ValuesAsync(page, "one => +one.dataset.bits");
        Assert.AreEqual(report.Tokens.Skip(1).Sum(token => token.Surprisal), bits.Sum(), Tolerance);
        Assert.IsGreaterThan(
            (await page.Locator(".token").Nth(3).BoundingBoxAsync())!.X, (await page.Locator(".token").Nth(0).BoundingBoxAsync())!.X);
    }

    [TestMethod]
    public async Task Reading_ArrowKeysAndWords_LeadToTokens()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;
        await page.FillAsync("#text", "the cat zzq sat");
        await Expect(page.Locator("#strangest button")).ToHaveCountAsync(4);

        await page.Locator(".token").First.FocusAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(page.Locator(".token").Nth(1)).ToBeFocusedAsync();
        await Expect(page.Locator("#details")).ToContainTextAsync("bits");

        await page.Locator("#strangest button", new() { HasText = "zzq" }).ClickAsync();
        await Expect(page.Locator(".token").Nth("the cat ".Length)).ToBeFocusedAsync();
    }

    [TestMethod]
    public async Task Prompt_Continued_GivesTheLibrarysText()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;
        string expected = Model.Generate("the cat", new GenerationOptions { Temperature = 0, MaximumNewTokens = 24 });
        await SlideAsync(page, "temperature", 0);
        await SlideAsync(page, "length", 24);

        await page.FillAsync("#prompt", "the cat");
        await page.ClickAsync("#start");

        await Expect(page.Locator("#generated")).ToContainTextAsync("per second");
        Assert.AreEqual("the cat" + expected, await page.EvalOnSelectorAsync<string>("#continuation", "all => all.textContent"));
        await Expect(page.Locator("#stop")).ToBeDisabledAsync();
        opened.AssertFaultless();
    }

    [TestMethod]
    public async Task Prompt_Stopped_KeepsWhatIsThere()
    {
        await using OpenedPage opened = await OpenAsync();
        IPage page = opened.Page;
        await SlideAsync(page, "temperature", 0);
        await SlideAsync(page, "length", 512);
        await page.FillAsync("#prompt", "the cat");

        // As soon as the first piece is there.
        await page.EvaluateAsync("""
            () => new MutationObserver((_, self) => {
              if (document.querySelector('#continuation span + span')?.textContent) {
                self.disconnect();
                document.getElementById('stop').click();
              }
            }).observe(document.getElementById('continuation'), { childList: true, subtree: true })
            """);
        await page.ClickAsync("#start");

        await Expect(page.Locator("#generated")).ToHaveTextAsync("Stopped.");
        string text = await page.EvalOnSelectorAsync<string>("#continuation", "all => all.textContent");
        Assert.IsGreaterThan("the cat".Length, text.Length);
        await Expect(page.Locator("#start")).ToBeEnabledAsync();
    }

    [TestMethod]
    [DataRow(ColorScheme.Light)]
    [DataRow(ColorScheme.Dark)]
    public async Task Page_LightAndDark_HasNoFaultOfAccessibility(ColorScheme scheme)
    {
        await using OpenedPage opened = await OpenAsync(scheme);
        IPage page = opened.Page;
        await page.FillAsync("#text", Text);
        await Expect(page.Locator("#strangest button").First).ToBeVisibleAsync();
        await page.ClickAsync("summary");

        AxeResult result = await page.RunAxe();

        Assert.IsEmpty(result.Violations, string.Join('\n', result.Violations.SelectMany(
            violation => violation.Nodes.Select(node => $"{violation.Id}: {violation.Help}: {node.Html}"))));
        string background = await page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
        Assert.AreEqual(scheme == ColorScheme.Dark ? "rgb(22, 22, 20)" : "rgb(251, 250, 247)", background);
        await AssertContrastAsync(page);
    }

    [TestMethod]
    public async Task Page_OnANarrowScreen_NeedsNoSidewaysScrolling()
    {
        await using OpenedPage opened = await OpenAsync();
        await opened.Page.SetViewportSizeAsync(360, 700);
        await opened.Page.FillAsync("#text", Text);
        await Expect(opened.Page.Locator("#strangest button").First).ToBeVisibleAsync();

        Assert.IsLessThanOrEqualTo(360, await opened.Page.EvaluateAsync<int>("() => document.documentElement.scrollWidth"));
    }

    /// <summary>Opens the page, or gives one that is as it was when it was opened.</summary>
    private protected virtual async Task<OpenedPage> OpenAsync(ColorScheme scheme = ColorScheme.Light)
    {
        (string address, IAsyncDisposable server) = await ServeAsync();
        IPage page = await Browser.NewPageAsync();
        var opened = new OpenedPage(page, server);
        await page.GotoAsync(address);
        await Expect(page.Locator("#text")).ToBeEnabledAsync(new() { Timeout = 60_000 });
        await opened.ResetAsync(scheme);
        return opened;
    }

    private protected static Task SlideAsync(IPage page, string id, double value) => page.EvalOnSelectorAsync(
        "#" + id, "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value);

    private static Task<double[]> ValuesAsync(IPage page, string value) =>
        page.EvalOnSelectorAllAsync<double[]>(".token", $"all => all.map({value})");

    private static void AssertFocus(IReadOnlyList<float> expected, double[] actual)
    {
        Assert.HasCount(expected.Count - 1, actual);
        for (int i = 0; i < actual.Length; i++)
            Assert.AreEqual(expected[i + 1], actual[i], Tolerance, $"token {i + 1}");
    }

    // axe does not judge text on mixed colours: on the strongest of both, the ink must still be read.
    private static async Task AssertContrastAsync(IPage page)
    {
        double[] contrasts = await page.EvaluateAsync<double[]>("""
            () => {
              const style = getComputedStyle(document.documentElement);
              const light = name => {
                const parts = style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map(part => parseInt(part, 16) / 255);
                const [r, g, b] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
              return [contrast('--ink', '--surprise'), contrast('--ink', '--focus'), contrast('--faint', '--sheet')];
            }
            """);
        foreach (double contrast in contrasts)
            Assert.IsGreaterThanOrEqualTo(4.5, contrast);
    }

    /// <summary>A page, with what the browser complained of.</summary>
    private protected sealed class OpenedPage : IAsyncDisposable
    {
        private readonly IAsyncDisposable _server;
        private bool _isShared;
        private readonly List<string> _faults = [];

        public OpenedPage(IPage page, IAsyncDisposable server)
        {
            Page = page;
            _server = server;
            page.Console += (_, message) =>
            {
                if (message.Type is "error" or "warning")
                    _faults.Add(message.Text);
            };
            page.PageError += (_, message) => _faults.Add(message);
        }

        public IPage Page { get; }

        /// <summary>Makes the page what it was when it was opened, without a text.</summary>
        public async Task ResetAsync(ColorScheme scheme)
        {
            await Page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = scheme });
            await Page.SetViewportSizeAsync(1200, 900);
            await Page.SelectOptionAsync("#colours", "focus");
            await Page.SelectOptionAsync("#layer", "all");
            await Page.SelectOptionAsync("#colours", "surprise");
            await Page.EvaluateAsync("() => document.getElementById('table-of-tokens').open = false");
            await Page.FillAsync("#text", "");
            await Expect(Page.Locator("#tokens")).ToHaveTextAsync("–");
            _faults.Clear();
        }

        /// <summary>Leaves the page open when a test ends, for the next.</summary>
        public OpenedPage Share()
        {
            _isShared = true;
            return this;
        }

        /// <summary>Closes a shared page.</summary>
        public async Task CloseAsync()
        {
            await Page.CloseAsync();
            await _server.DisposeAsync();
        }

        /// <summary>Fails where a script failed, or the content security policy forbade something.</summary>
        public void AssertFaultless() => Assert.IsEmpty(_faults, string.Join('\n', _faults));

        public async ValueTask DisposeAsync()
        {
            if (!_isShared)
                await CloseAsync();
        }

        private static ILocatorAssertions Expect(ILocator locator) => Assertions.Expect(locator);
    }
}
