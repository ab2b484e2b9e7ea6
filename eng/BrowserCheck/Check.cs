using System.Text.RegularExpressions;
using Microsoft.ML.Leap;
using Microsoft.Playwright;

namespace BrowserCheck;

/// <summary>Drives the published page in Chromium, and compares with the goals.</summary>
internal static partial class Check
{
    private const double LeastTokensPerSecond = 150;
    private const double MostSecondsToScore = 3;
    private const double MostDifference = 1e-4;
    private const long MostModelBytes = 3_000_000;

    private static readonly TimeSpan BrowserStart = TimeSpan.FromSeconds(5);

    // Tokens that are enough for a speed, and texts that the interpreter compiles its loops in before.
    private const int MeasuredTokens = 600;
    private const int WarmTexts = 8;

    /// <summary>Prints the figures.</summary>
    /// <returns>Whether all goals are met.</returns>
    public static async Task<bool> RunAsync(string modelPath, string siteFolder)
    {
        await using StaticSite site = await StaticSite.StartAsync(siteFolder);
        using IPlaywright playwright = await Playwright.CreateAsync();
        await using IBrowser browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium(), Args = ["--no-sandbox"] });
        IPage page = await browser.NewPageAsync();
        List<string> faults = [];
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
                faults.Add(message.Text);
        };
        page.PageError += (_, message) => faults.Add(message);

        await SettleAsync(site);
        await page.GotoAsync(site.Address);
        double seconds = await page.EvaluateAsync<double>("""
            () => new Promise(done => {
              const look = () => document.getElementById('tokens').textContent === '–' ? setTimeout(look, 5) : done(performance.now() / 1000);
              look();
            })
            """);
        IReadOnlyDictionary<string, long> sent = site.Sent;
        double difference = await DifferenceAsync(page, modelPath);
        double speed = await SpeedAsync(page);
        if (Environment.GetEnvironmentVariable("LEAP_SCREENSHOTS") is { Length: > 0 } folder)
            await PhotographAsync(page, folder);

        Console.WriteLine($"{"transferred",-60} {"bytes",12}");
        foreach ((string path, long bytes) in sent.OrderByDescending(file => file.Value))
            Console.WriteLine($"{path,-60} {bytes,12:N0}");
        Console.WriteLine($"{"all",-60} {sent.Values.Sum(),12:N0}");
        foreach (string fault in faults)
            Console.WriteLine($"The browser complains: {fault}");

        long modelBytes = new FileInfo(modelPath).Length;
        return All(
            Goal($"{speed:0} tokens per second", speed >= LeastTokensPerSecond, $"at least {LeastTokensPerSecond}"),
            Goal($"{seconds:0.00} s from the page's start to the first score", seconds <= MostSecondsToScore, $"at most {MostSecondsToScore}"),
            Goal($"{modelBytes:N0} bytes of model", modelBytes <= MostModelBytes, $"at most {MostModelBytes:N0}"),
            Goal($"{difference:0.0e+0} between the page's numbers and the library's", difference <= MostDifference, $"at most {MostDifference:0.0e+0}"),
            Goal($"{faults.Count} complaints of the browser, of the content security policy among others", faults.Count == 0, "none"));
    }

    // The page's time is measured, not that of the browser and the server, which have just been started: pages find them running.
    private static async Task SettleAsync(StaticSite site)
    {
        using var http = new HttpClient();
        await http.GetStringAsync(new Uri(site.Address));
        await Task.Delay(BrowserStart);
    }

    private static async Task<double> DifferenceAsync(IPage page, string modelPath)
    {
        using LeapLanguageModel model = LeapLanguageModel.Load(modelPath);
        FocusReport report = model.Explain(await page.InputValueAsync("#text"));
        double[][] shown = await page.EvalOnSelectorAllAsync<double[][]>("#reading .token", "all => all.map(one => [+one.dataset.bits, +one.dataset.focus])");
        if (shown.Length != report.Tokens.Count - 1)
            return double.PositiveInfinity;
        return shown.Select((pair, i) => Math.Max(Math.Abs(pair[0] - report.Tokens[i + 1].Surprisal), Math.Abs(pair[1] - report.Focus[i + 1]))).Max();
    }

    private static async Task<double> SpeedAsync(IPage page)
    {
        double tokens = 0, seconds = 0;
        await SlideAsync(page, "length", 512);
        for (int text = 1; tokens < MeasuredTokens; text++)
        {
            await SlideAsync(page, "seed", 1 + text % 100);
            await page.ClickAsync("#start");
            await page.WaitForFunctionAsync("() => !document.getElementById('generated').textContent.startsWith('Writing')");
            string told = await page.InnerTextAsync("#generated");
            Match match = Told().Match(told);
            if (!match.Success)
                throw new InvalidOperationException($"The page says '{told}' after a continuation.");
            if (text <= WarmTexts)
                continue;
            double count = double.Parse(match.Groups[1].Value);
            tokens += count;
            seconds += count / double.Parse(match.Groups[2].Value);
        }

        return tokens / seconds;
    }

    // The pictures of docs/browser.md: surprise in light colours, focus in dark ones, and a narrow screen.
    private static async Task PhotographAsync(IPage page, string folder)
    {
        Directory.CreateDirectory(folder);
        await page.SetViewportSizeAsync(1120, 900);
        await page.Locator(".token").Nth(16).HoverAsync();
        await page.ScreenshotAsync(new() { Path = Path.Combine(folder, "browser-light.png"), FullPage = true });
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
        await page.SelectOptionAsync("#colours", "focus");
        await page.SelectOptionAsync("#layer", "1");
        await page.Locator(".token").Nth(16).HoverAsync();
        await page.ScreenshotAsync(new() { Path = Path.Combine(folder, "browser-dark.png"), FullPage = true });
        await page.SetViewportSizeAsync(390, 800);
        await page.ScreenshotAsync(new() { Path = Path.Combine(folder, "browser-narrow.png"), FullPage = true });
    }

    private static Task SlideAsync(IPage page, string id, int value) => page.EvalOnSelectorAsync(
        "#" + id, "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value);

    private static string Chromium()
    {
        if (Environment.GetEnvironmentVariable("LEAP_CHROMIUM") is { Length: > 0 } given)
            return given;
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException("No Chromium is installed: run eng/install-browser.sh, or set LEAP_CHROMIUM to one.");
    }

    private static bool Goal(string figure, bool isMet, string goal)
    {
        Console.WriteLine($"{(isMet ? "met   " : "MISSED")} {figure} (goal: {goal})");
        return isMet;
    }

    private static bool All(params bool[] goals) => goals.All(isMet => isMet);

    [GeneratedRegex("^([0-9]+) tokens, ([0-9]+) per second")]
    private static partial Regex Told();
}
