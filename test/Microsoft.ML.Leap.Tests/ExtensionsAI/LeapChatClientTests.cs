using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapChatClientTests
{
    private static readonly LeapChatClientOptions Restarting = new()
    {
        Generation = new GenerationOptions { PositionPolicy = PositionPolicy.Restart, MaximumNewTokens = 12, Seed = 3, Temperature = 1.5 },
    };

    private static readonly ChatMessage[] Conversation = [new(ChatRole.System, "the"), new(ChatRole.User, "cat")];

    private static LeapLanguageModel Model => TrainedModel.Transformer.Model;

    [TestMethod]
    public async Task GetResponseAsync_Conversation_IsContinued()
    {
        using IChatClient client = Model.AsIChatClient(Restarting);
        GenerationResult expected = Model.Complete("the\ncat", Restarting.Generation);

        ChatResponse response = await client.GetResponseAsync(Conversation);

        Assert.AreEqual(expected.Text, response.Text);
        Assert.AreEqual(ChatRole.Assistant, response.Messages.Single().Role);
        Assert.AreEqual(7, response.Usage!.InputTokenCount);
        Assert.AreEqual(expected.Tokens.Count, response.Usage.OutputTokenCount);
        Assert.AreEqual(7 + expected.Tokens.Count, response.Usage.TotalTokenCount);
        Assert.AreEqual("leap", response.ModelId);
    }

    [TestMethod]
    public async Task GetStreamingResponseAsync_SameSeed_GivesTheResponse()
    {
        using IChatClient client = Model.AsIChatClient(Restarting);
        ChatResponse expected = await client.GetResponseAsync(Conversation);
        ChatResponse streamed = await client.GetStreamingResponseAsync(Conversation).ToChatResponseAsync();
        Assert.AreEqual(expected.Text, streamed.Text);
        Assert.AreEqual(expected.FinishReason, streamed.FinishReason);
        Assert.AreEqual(expected.Usage!.InputTokenCount, streamed.Usage!.InputTokenCount);
        Assert.AreEqual(expected.Usage.OutputTokenCount, streamed.Usage.OutputTokenCount);
        Assert.HasCount(1, streamed.Messages);
    }

    [TestMethod]
    public async Task GetResponseAsync_Options_AreFollowed()
    {
        using IChatClient client = Model.AsIChatClient(Restarting);
        var options = new ChatOptions
        {
            Temperature = 0.7f,
            TopK = 9,
            TopP = 0.9f,
            Seed = 77,
            MaxOutputTokens = 9,
            PresencePenalty = 0.5f,
            FrequencyPenalty = 0.25f,
            StopSequences = ["a"],
            Instructions = "a dog",
        };
        GenerationResult expected = Model.Complete("a dog\nthe\ncat", Restarting.Generation! with
        {
            Temperature = 0.7f,
            TopK = 9,
            TopP = 0.9f,
            Seed = 77,
            MaximumNewTokens = 9,
            PresencePenalty = 0.5,
            FrequencyPenalty = 0.25,
            StopStrings = ["a"],
        });
        Assert.AreEqual(expected.Text, (await client.GetResponseAsync(Conversation, options)).Text);
    }

    [TestMethod]
    public async Task GetResponseAsync_FinishReasons_AreRight()
    {
        using IChatClient client = Model.AsIChatClient(Restarting);
        Assert.AreEqual(ChatFinishReason.Length, (await client.GetResponseAsync("the", new ChatOptions { MaxOutputTokens = 0 })).FinishReason);
        string text = Model.Generate("the", Restarting.Generation);
        ChatResponse stopped = await client.GetResponseAsync("the", new ChatOptions { StopSequences = [text[..1]] });
        Assert.AreEqual(ChatFinishReason.Stop, stopped.FinishReason);
        Assert.AreEqual("", stopped.Text);
    }

    [TestMethod]
    public async Task GetResponseAsync_WhatIsNotSupported_IsRefused()
    {
        using IChatClient client = Model.AsIChatClient(Restarting);
        AITool tool = AIFunctionFactory.Create(() => 1, "one");
        await Assert.ThrowsExactlyAsync<NotSupportedException>(() => client.GetResponseAsync("a", new ChatOptions { Tools = [tool] }));
        await Assert.ThrowsExactlyAsync<NotSupportedException>(
            () => client.GetResponseAsync("a", new ChatOptions { ResponseFormat = ChatResponseFormat.Json }));
        await Assert.ThrowsExactlyAsync<NotSupportedException>(
            () => client.GetResponseAsync(new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")])));
        await Assert.ThrowsExactlyAsync<ArgumentOutOfRangeException>(() => client.GetResponseAsync("a", new ChatOptions { TopP = 2 }));
        await Assert.ThrowsExactlyAsync<ArgumentNullException>(() => client.GetResponseAsync((IEnumerable<ChatMessage>)null!));
    }

    [TestMethod]
    public async Task GetStreamingResponseAsync_Cancelled_Throws()
    {
        using IChatClient client = Model.AsIChatClient(Restarting);
        using var source = new CancellationTokenSource();
        await source.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => client.GetResponseAsync("a", cancellationToken: source.Token));
        await Assert.ThrowsAsync<OperationCanceledException>(
            async () => await client.GetStreamingResponseAsync("a", cancellationToken: source.Token).ToChatResponseAsync());
    }

    [TestMethod]
    public void GetService_Types_AreFound()
    {
        using var client = new LeapChatClient(Model, Restarting with { ModelId = "mine" });
        Assert.AreEqual("mine", ((ChatClientMetadata)client.GetService(typeof(ChatClientMetadata))!).DefaultModelId);
        Assert.AreSame(Model, client.GetService(typeof(LeapLanguageModel)));
        Assert.AreSame(client, client.GetService(typeof(IChatClient)));
        Assert.IsNull(client.GetService(typeof(string)));
        Assert.IsNull(client.GetService(typeof(IChatClient), "key"));
    }

    [TestMethod]
    public void Dispose_OwnedModel_IsDisposed()
    {
        LeapLanguageModel model = TinyModel.Fit(new MLContext(1), options => options.Epochs = 1).Model;
        new LeapChatClient(model).Dispose();
        model.Generate("a");
        new LeapChatClient(model, new LeapChatClientOptions { OwnsModel = true }).Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Generate("a"));
    }

    [TestMethod]
    public async Task Middleware_CachingLoggingInjection_WorkWithIt()
    {
        var log = new LogLines();
        var services = new ServiceCollection();
        services.AddLogging(builder => builder.AddProvider(log).SetMinimumLevel(LogLevel.Trace));
        services.AddSingleton<IDistributedCache>(new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions())));

        // Without a seed each answer would be another: only the cache can repeat it.
        LeapChatClientOptions random = Restarting with { Generation = Restarting.Generation! with { Seed = null, Temperature = 3, MaximumNewTokens = 40 } };
        services.AddChatClient(Model.AsIChatClient(random)).UseDistributedCache().UseLogging();
        await using ServiceProvider provider = services.BuildServiceProvider();
        IChatClient client = provider.GetRequiredService<IChatClient>();

        string first = (await client.GetResponseAsync("the")).Text;

        Assert.AreEqual(first, (await client.GetResponseAsync("the")).Text);
        Assert.AreNotEqual(first, (await client.GetResponseAsync("a dog")).Text);
        Assert.IsNotEmpty(log.Lines);
        Assert.AreSame(Model, client.GetService<LeapLanguageModel>());
    }

    private sealed class LogLines : ILoggerProvider, ILogger
    {
        public List<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
