using Microsoft.Playwright;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The page in a real browser.</summary>
[TestClass]
public class FocusPageTests : BrowserTest
{
    private const string Text = "the <script>alert(1)</script> cat\nsat on the mat";

    [TestMethod]
    public async Task Page_Opened_ShowsEachTokenAsText()
    {
        FocusReport report = HostileModel.Transformer.Explain(Text);
        (IPage page, List<string> faults) = await OpenAsync(report, ColorScheme.Light);

        await Expect(page.Locator(".token")).ToHaveCountAsync(report.Tokens.Count);
        await Expect(page.Locator(".token").Nth(5)).ToHaveTextAsync("<script>");
        await Expect(page.Locator(".token").Nth(5)).ToBeVisibleAsync();
        Assert.AreEqual(2, await page.Locator("script").CountAsync());
        Assert.IsTrue((await page.Locator(".token").Nth(5).BoundingBoxAsync())!.Width > 30);
        Assert.IsEmpty(faults, string.Join('\n', faults));
    }

    [TestMethod]
    public async Task Page_WordOfSeveralTokens_HasNoGapsWithin()
    {
        (IPage page, _) = await OpenAsync(HostileModel.Transformer.Explain("zebra"), ColorScheme.Light);

        LocatorBoundingBoxResult[] boxes = [.. await Task.WhenAll(Enumerable.Range(1, 5).Select(async i => (await page.Locator(".token").Nth(i).BoundingBoxAsync())!))];

        for (int i = 1; i < boxes.Length; i++)
            Assert.AreEqual(boxes[i - 1].X + boxes[i - 1].Width, boxes[i].X, 0.1, $"token {i}");
    }

    // Each letter is two tokens of one byte: the first shows it.
    [TestMethod]
    public async Task Page_HebrewInByteTokens_ReadsFromRightToLeft()
    {
        (IPage page, _) = await OpenAsync(HostileModel.Transformer.Explain("", "שלום"), ColorScheme.Light);

        await Expect(page.Locator(".token").Nth(1)).ToHaveTextAsync("ש");
        await Expect(page.Locator(".token").Nth(2)).ToHaveTextAsync("·");
        await Expect(page.Locator(".token").Nth(3)).ToHaveTextAsync("ל");
        Assert.IsGreaterThan((await page.Locator(".token").Nth(3).BoundingBoxAsync())!.X, (await page.Locator(".token").Nth(1).BoundingBoxAsync())!.X);
    }

    [TestMethod]
    public async Task Selector_LayerAndHead_PaintTheirFocus()
    {
        FocusReport report = HostileModel.Transformer.Explain(Text);
        (IPage page, List<string> faults) = await OpenAsync(report, ColorScheme.Light);
        await AssertPaintedAsync(page, report.Focus);
        Assert.IsTrue(await page.Locator("#head").IsDisabledAsync());

        await page.SelectOptionAsync("#layer", "1");
        await AssertPaintedAsync(page, report.GetFocus(1));

        await page.SelectOptionAsync("#head", "0");
        await AssertPaintedAsync(page, report.GetFocus(1, 0));

        await page.SelectOptionAsync("#layer", "all");
        await AssertPaintedAsync(page, report.Focus);
        Assert.IsEmpty(faults, string.Join('\n', faults));
    }

    [TestMethod]
    public async Task Hover_Token_ShowsItsSharesAndGate()
    {
        FocusReport report = HostileModel.Transformer.Explain(Text);
        (IPage page, List<string> faults) = await OpenAsync(report, ColorScheme.Dark);
        await page.SelectOptionAsync("#layer", "1");
        await page.SelectOptionAsync("#head", "1");
        const int position = 9;
        await page.Locator(".token").Nth(position).HoverAsync();

        double[] shares = report.GetShares(1, 1, position);
        await AssertPaintedAsync(page, [.. shares.Select(share => (float)share)], isWithStart: true);
        ILocator details = page.Locator("#details");
        await Expect(details).ToContainTextAsync($"gate {report.GetGates(1, 1)[position]:0.00}");
        await Expect(details).ToContainTextAsync($"surprise {report.Tokens[position].Surprisal:0.0} bits");
        await Expect(details).ToContainTextAsync($"{100 * shares.Max():0.0} %");
        Assert.IsEmpty(faults, string.Join('\n', faults));
    }

    [TestMethod]
    [DataRow(ColorScheme.Light)]
    [DataRow(ColorScheme.Dark)]
    public async Task Page_InEitherScheme_IsReadable(ColorScheme scheme)
    {
        (IPage page, _) = await OpenAsync(HostileModel.Transformer.Explain(Text), scheme);

        // The least contrast of text on a full colour, by the formula of WCAG 2: at least 4.5 to 1.
        double[] contrasts = await page.EvaluateAsync<double[]>("""
            () => {
              const style = getComputedStyle(document.documentElement);
              const light = name => {
                const hex = style.getPropertyValue(name).trim().slice(1);
                const [r, g, b] = [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
                  .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
              return [contrast('--ink', '--page'), contrast('--ink', '--focus'), contrast('--faint', '--page')];
            }
            """);
        foreach (double contrast in contrasts)
            Assert.IsGreaterThanOrEqualTo(4.5, contrast);

        string background = await page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
        Assert.AreEqual(scheme == ColorScheme.Dark ? "rgb(22, 23, 27)" : "rgb(255, 255, 255)", background);
    }

    [TestMethod]
    public async Task Frame_OfANotebook_RendersItsTokens()
    {
        FocusReport report = HostileModel.Transformer.Explain("the cat");
        IPage page = await Browser.NewPageAsync();
        await page.SetContentAsync($"<p>cell</p>{FocusHtml.Frame(report)}");
        await Expect(page.FrameLocator("iframe").Locator(".token")).ToHaveCountAsync(report.Tokens.Count);
        Assert.IsTrue(await page.FrameLocator("iframe").Locator("body").EvaluateAsync<bool>("body => body.scrollHeight <= innerHeight"), "it fits its frame");
        await page.FrameLocator("iframe").Locator("#layer").SelectOptionAsync("0");
        await Expect(page.FrameLocator("iframe").Locator("#head")).ToBeEnabledAsync();
    }

    /// <summary>Takes the screenshots that eng/screenshots.sh asks for.</summary>
    [TestMethod]
    [TestCategory("Screenshots")]
    public async Task Screenshot_LightAndDark_AreWritten()
    {
        using var folder = new TemporaryFolder();
        foreach (ColorScheme scheme in (ColorScheme[])[ColorScheme.Light, ColorScheme.Dark])
        {
            (IPage page, _) = await OpenAsync(HostileModel.Transformer.Explain(Text), scheme);
            await TakeScreenshotAsync(page, folder, $"focus-{scheme}.png");
        }
    }

    private static async Task<(IPage Page, List<string> Faults)> OpenAsync(FocusReport report, ColorScheme scheme)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "focus.html");
        report.SaveHtml(path);
        IPage page = await Browser.NewPageAsync(new BrowserNewPageOptions { ColorScheme = scheme, ViewportSize = new() { Width = 900, Height = 500 } });
        List<string> faults = [];
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
                faults.Add(message.Text);
        };
        page.PageError += (_, message) => faults.Add(message);
        page.Dialog += async (_, dialog) =>
        {
            faults.Add($"dialog: {dialog.Message}");
            await dialog.DismissAsync();
        };
        await page.GotoAsync(new Uri(path).AbsoluteUri);
        return (page, faults);
    }

    private static async Task AssertPaintedAsync(IPage page, IReadOnlyList<float> values, bool isWithStart = false)
    {
        double greatest = isWithStart ? values.Max() : values.Skip(1).Max();
        string[] painted = await page.Locator(".token").EvaluateAllAsync<string[]>("all => all.map(token => token.style.getPropertyValue('--f'))");
        Assert.HasCount(values.Count, painted);
        for (int i = 0; i < painted.Length; i++)
            Assert.AreEqual(Math.Min(1, values[i] / greatest), double.Parse(painted[i]), 1e-3, $"token {i}");
    }
}
