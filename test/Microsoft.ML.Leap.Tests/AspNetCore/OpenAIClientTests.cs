using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using OpenAI;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The official OpenAI client for .NET against the server. It has no client for completions, which its pipeline sends.</summary>
[TestClass]
public class OpenAIClientTests
{
    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    [TestMethod]
    public async Task Client_EmbeddingsModelsAndCompletions_GetsTheModelsOwn()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options => options.ApiKey = "secret");
        OpenAIClient client = NewClient(server, "secret");

        OpenAIEmbedding embedding = (await client.GetEmbeddingClient("leap").GenerateEmbeddingAsync("the cat")).Value;
        CollectionAssert.AreEqual(Model.Embed("the cat"), embedding.ToFloats().ToArray());
        OpenAIEmbeddingCollection several = (await client.GetEmbeddingClient("leap").GenerateEmbeddingsAsync(["the cat", "a dog"])).Value;
        CollectionAssert.AreEqual(Model.Embed("a dog"), several[1].ToFloats().ToArray());
        Assert.AreEqual(12, several.Usage.InputTokenCount);

        OpenAIModelCollection models = (await client.GetOpenAIModelClient().GetModelsAsync()).Value;
        Assert.AreEqual("leap", models.Single().Id);
        Assert.AreEqual("leap", (await client.GetOpenAIModelClient().GetModelAsync("leap")).Value.Id);

        using PipelineMessage message = client.Pipeline.CreateMessage();
        message.Request.Method = "POST";
        message.Request.Uri = new Uri(server.Client.BaseAddress!, "/v1/completions");
        message.Request.Headers.Set("Content-Type", "application/json");
        message.Request.Content = BinaryContent.Create(BinaryData.FromObjectAsJson(new { model = "leap", prompt = "the", seed = 3, max_tokens = 20 }));
        await client.Pipeline.SendAsync(message);
        Assert.AreEqual(200, message.Response!.Status);
        Assert.AreEqual(
            Model.Generate("the", new GenerationOptions { MaximumNewTokens = 20, Seed = 3, PositionPolicy = PositionPolicy.Restart }),
            JsonDocument.Parse(message.Response.Content).RootElement.GetProperty("choices")[0].GetProperty("text").GetString());
    }

    [TestMethod]
    public async Task Client_WrongKeyOrModel_ThrowsWithTheServersWords()
    {
        await using RunningServer server = await RunningServer.StartAsync(Model, options => options.ApiKey = "secret");
        ClientResultException key = await Assert.ThrowsAsync<ClientResultException>(
            () => NewClient(server, "wrong").GetEmbeddingClient("leap").GenerateEmbeddingAsync("the cat"));
        Assert.AreEqual(401, key.Status);
        StringAssert.Contains(key.Message, "The API key is wrong");
        ClientResultException model = await Assert.ThrowsAsync<ClientResultException>(
            () => NewClient(server, "secret").GetEmbeddingClient("other").GenerateEmbeddingAsync("the cat"));
        Assert.AreEqual(404, model.Status);
        StringAssert.Contains(model.Message, "the model's name is 'leap'");
    }

    private static OpenAIClient NewClient(RunningServer server, string key) =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(server.Client.BaseAddress!, "/v1") });
}
