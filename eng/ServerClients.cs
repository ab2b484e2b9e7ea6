#:package OpenAI
#:package Microsoft.Playwright
#:property PublishAot=false
#:property NoWarn=$(NoWarn);OPENAI001
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using Microsoft.Playwright;
using OpenAI;
using OpenAI.Embeddings;

// Asks a server by OpenAI's client for .NET, and opens its page in Chromium: dotnet run eng/ServerClients.cs -- http://127.0.0.1:8080 [PICTURE.png]
var server = new Uri(args[0]);
var client = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(server, "/v1") });
string model = (await client.GetOpenAIModelClient().GetModelsAsync()).Value.Single().Id;
OpenAIEmbeddingCollection embeddings = (await client.GetEmbeddingClient(model).GenerateEmbeddingsAsync(["The model", "a banana"])).Value;
Require(embeddings.Count == 2 && embeddings[0].ToFloats().ToArray().All(float.IsFinite), "two embeddings of finite numbers");

// It has no client for completions; its pipeline sends any request.
string first = await CompleteAsync(), second = await CompleteAsync();
Require(first.Length > 0 && first == second, "a seed gives the same text twice");
Console.WriteLine($"OpenAI for .NET: model '{model}', {embeddings[0].ToFloats().Length} numbers per embedding, continues with '{first}'");

string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
string? chromium = folders.SelectMany(folder => new[] { "chromium", "google-chrome" }.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
Require(chromium is not null, "Chromium, which eng/install-browser.sh installs");
using IPlaywright playwright = await Playwright.CreateAsync();
await using IBrowser browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = chromium, Args = ["--no-sandbox"] });
IPage page = await browser.NewPageAsync(new BrowserNewPageOptions { ViewportSize = new ViewportSize { Width = 900, Height = 800 } });
List<string> faults = [];
page.PageError += (_, fault) => faults.Add(fault);
page.Console += (_, message) =>
{
    if (message.Type == "error")
        faults.Add(message.Text);
};
await page.GotoAsync(server.ToString());
const string text = "Returns the number of elements. Returns the number of bananas.";
ILocator box = page.GetByRole(AriaRole.Textbox).First;
await box.FillAsync(text);
await page.WaitForFunctionAsync("() => /bananas/.test(document.getElementById('strangest').innerText)");
await page.FillAsync("#prompt", "Gets the number of");
await page.ClickAsync("#start");
await page.WaitForFunctionAsync("() => /per second/.test(document.getElementById('generated').innerText)");
if (args.Length > 1)
    await page.ScreenshotAsync(new PageScreenshotOptions { Path = args[1], FullPage = true });
Require(faults.Count == 0, $"a page without errors, but: {string.Join("; ", faults)}");
Console.WriteLine($"Chromium: the page at {server} colours '{text}', and continues a prompt");

async Task<string> CompleteAsync()
{
    using PipelineMessage message = client.Pipeline.CreateMessage();
    message.Request.Method = "POST";
    message.Request.Uri = new Uri(server, "/v1/completions");
    message.Request.Headers.Set("Content-Type", "application/json");
    message.Request.Content = BinaryContent.Create(BinaryData.FromString($$"""{"model":"{{model}}","prompt":"The","seed":3,"max_tokens":20}"""));
    await client.Pipeline.SendAsync(message);
    Require(message.Response!.Status == 200, "status 200");
    return JsonDocument.Parse(message.Response.Content).RootElement.GetProperty("choices")[0].GetProperty("text").GetString()!;
}

static void Require(bool condition, string what)
{
    if (!condition)
        throw new InvalidOperationException($"Expected {what}.");
}
