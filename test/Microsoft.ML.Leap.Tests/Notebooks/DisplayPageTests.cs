using Microsoft.DotNet.Interactive.Formatting;
using Microsoft.Playwright;

namespace Microsoft.ML.Leap.Tests;

/// <summary>What a notebook shows, in a real browser: on pages with the colours of a light and a dark notebook.</summary>
[TestClass]
public class DisplayPageTests : BrowserTest
{
    private static string Values => string.Concat(
        TrainedModel.Transformer.ToDisplayString("text/html"),
        new LanguageModelMetrics(-51234.5, 12000, 9000, 50000, 120).ToDisplayString("text/html"),
        LongHistory().ToDisplayString("text/html"),
        ProgressDisplayTests.Progress.ToDisplayString("text/html"),
        HostileModel.Transformer.Explain("the <script> cat\nsat on the mat").ToDisplayString("text/html"));

    [TestMethod]
    [DataRow(ColorScheme.Light, "#ffffff", "#1b1b1f")]
    [DataRow(ColorScheme.Dark, "#111111", "#ececf1")]
    public async Task Values_InANotebook_TakeItsColoursAndFitItsWidth(ColorScheme scheme, string background, string ink)
    {
        IPage page = await OpenAsync(scheme, background, ink, width: 500);
        Assert.AreEqual(500, await page.EvaluateAsync<int>("() => document.documentElement.scrollWidth"), "nothing is wider than the page");

        string own = await page.Locator("#own").EvaluateAsync<string>("element => getComputedStyle(element).color");
        string[] colors = await ComputedAsync(page, "td, th, summary, [role=progressbar]", "color");
        Assert.IsGreaterThan(30, colors.Length);
        Assert.IsTrue(colors.All(color => color == own), string.Join(' ', colors.Distinct()));
        string[] texts = await ComputedAsync(page, "svg text", "fill");
        Assert.IsTrue(texts.All(color => color == own), string.Join(' ', texts.Distinct()));
        string[] areas = await ComputedAsync(page, "table, tr, td, th", "backgroundColor");
        Assert.IsTrue(areas.All(color => color == "rgba(0, 0, 0, 0)"), string.Join(' ', areas.Distinct()));
    }

    [TestMethod]
    public async Task Curve_Texts_LieInThePictureApart()
    {
        IPage page = await OpenAsync(ColorScheme.Light, "#ffffff", "#1b1b1f", width: 900);
        string[] faults = await page.EvaluateAsync<string[]>("""
            () => [...document.querySelectorAll('svg')].flatMap(svg => {
              const frame = svg.getBoundingClientRect();
              const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
              const outside = boxes.filter(([, b]) => b.left < frame.left || b.right > frame.right || b.top < frame.top || b.bottom > frame.bottom);
              const overlapping = boxes.filter(([, a], i) => boxes.some(([, b], j) =>
                j > i && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
              return [...outside, ...overlapping].map(([text]) => text);
            })
            """);
        Assert.IsEmpty(faults, string.Join(", ", faults));
    }

    /// <summary>Takes the screenshots that eng/screenshots.sh asks for.</summary>
    [TestMethod]
    [TestCategory("Screenshots")]
    public async Task Screenshot_LightAndDark_AreWritten()
    {
        using var folder = new TemporaryFolder();
        await TakeScreenshotAsync(await OpenAsync(ColorScheme.Light, "#ffffff", "#1b1b1f", width: 900), folder, "display-light.png");
        await TakeScreenshotAsync(await OpenAsync(ColorScheme.Dark, "#111111", "#ececf1", width: 900), folder, "display-dark.png");
    }

    private static async Task<string[]> ComputedAsync(IPage page, string selector, string property) => await page.Locator(selector)
        .EvaluateAllAsync<string[]>("(all, property) => all.map(element => getComputedStyle(element)[property])", property);

    private async Task<IPage> OpenAsync(ColorScheme scheme, string background, string ink, int width)
    {
        // High enough for all: a frame outside the view is not painted.
        var options = new BrowserNewPageOptions { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = 1800 } };
        IPage page = await Browser.NewPageAsync(options);

        // The rules by which notebooks style tables, which the shown values must bear.
        await page.SetContentAsync($$"""
            <!DOCTYPE html><style>
            body { margin: 16px; background: {{background}}; color: {{ink}}; font: 14px/1.4 system-ui, sans-serif; }
            td, th { text-align: right; padding: 8px; border: 1px solid gray; }
            tr:nth-child(even) { background: #f5f5f5; }
            </style><p id="own">cell</p>{{Values}}
            """);
        await Expect(page.FrameLocator("iframe").Locator(".token").First).ToBeVisibleAsync();
        return page;
    }

    private static TrainingHistory LongHistory()
    {
        double[] training = [.. Enumerable.Range(1, 40).Select(i => i == 25 ? double.NaN : 2.5 + 4.0 / i + 0.05 * Math.Sin(i))];
        double[] validation = [.. Enumerable.Range(1, 40).Select(i => 2.9 + 3.6 / i + 0.005 * i)];
        return new([.. LossCurveTests.Both(training, validation).Select(record => record with { Step = 25_000L * record.Step })]);
    }
}
