using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Tests;

/// <summary>samples/WebApi, as a process of its own.</summary>
[TestClass]
public partial class WebApiTests
{
    [TestMethod]
    public async Task WebApi_SavedModel_IsServedWithTheOptionsOfTheConfiguration()
    {
        using var folder = new TemporaryFolder();
        string zip = Path.Combine(folder.Path, "model.zip");
        TrainedModel.Context.Model.Save(TrainedModel.Transformer, TinyModel.View(TrainedModel.Context).Schema, zip);
        using Process process = ProgramProcess.Start("WebApi", $"--Model:Path={zip}", "--urls=http://127.0.0.1:0", "--Leap:NewTokens=20", "--Leap:ModelName=tiny");
        try
        {
            using var client = new HttpClient { BaseAddress = new Uri(await AddressAsync(process)) };
            JsonElement scores = (await PostAsync(client, "/score", new { texts = TinyModel.Texts })).GetProperty("scores");
            Assert.AreEqual(TrainedModel.Transformer.Model.Score(TinyModel.Texts[0]).LogLikelihood, scores[0].GetProperty("logLikelihood").GetDouble(), 1e-5);
            JsonElement answer = await PostAsync(client, "/v1/completions", new { model = "tiny", prompt = "the", max_tokens = 20, seed = 3 });
            Assert.AreEqual(
                TrainedModel.Transformer.Generate("the", new GenerationOptions { MaximumNewTokens = 20, Seed = 3, PositionPolicy = PositionPolicy.Restart }),
                answer.GetProperty("choices")[0].GetProperty("text").GetString());
            using HttpResponseMessage refused = await client.PostAsJsonAsync("/v1/completions", new { prompt = "the", max_tokens = 21 });
            Assert.AreEqual(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.AreEqual(HttpStatusCode.OK, (await client.GetAsync("/health")).StatusCode);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    private static async Task<string> AddressAsync(Process process)
    {
        List<string> lines = [];
        while (await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) is { } line)
        {
            lines.Add(line);
            if (Address().Match(line) is { Success: true } match)
                return match.Value;
        }

        throw new AssertFailedException(string.Join('\n', lines) + await process.StandardError.ReadToEndAsync());
    }

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, object body)
    {
        using HttpResponseMessage response = await client.PostAsJsonAsync(path, body);
        string answer = await response.Content.ReadAsStringAsync();
        Assert.AreEqual(HttpStatusCode.OK, response.StatusCode, answer);
        return JsonDocument.Parse(answer).RootElement;
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+")]
    private static partial Regex Address();
}
