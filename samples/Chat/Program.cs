using System.CommandLine;
using System.Globalization;
using Chat;
using Microsoft.Extensions.AI;
using Microsoft.ML.Leap;

// Continues what is typed, streamed to the terminal. Without a model it trains a small one first.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var model = new Argument<FileSystemInfo>("model")
{
    Description = "A model's zip, or a folder in the layout of Hugging Face; without it one is trained, in half a minute",
    Arity = ArgumentArity.ZeroOrOne,
}.AcceptExistingOnly();
var texts = new Option<FileInfo>("--texts")
{
    Description = "What to train on: a file of texts, one per line; without it the .NET documentation that comes with the SDK",
}.AcceptExistingOnly();
var epochs = new Option<int>("--epochs") { Description = "How often training reads the texts", DefaultValueFactory = _ => 1 };
var save = new Option<string?>("--save") { Description = "Where to save a model that was trained here, as a zip" };
var temperature = new Option<float>("--temperature") { Description = "0 takes the likeliest token", DefaultValueFactory = _ => 0.8f };
var seed = new Option<int?>("--seed") { Description = "The same seed gives the same text" };
var tokens = new Option<int>("--tokens") { Description = "The most tokens of an answer", DefaultValueFactory = _ => 100 };
var command = new RootCommand("Continues what you type. Ctrl+C ends a running text, an empty line the program.")
{
    model, texts, epochs, save, temperature, seed, tokens,
};
command.SetAction(async arguments =>
{
    try
    {
        using LeapLanguageModel languageModel = arguments.GetValue(model) is { } place
            ? LeapLanguageModel.Load(place.FullName)
            : ChatModel.Train(arguments.GetValue(texts), arguments.GetValue(epochs), arguments.GetValue(save));
        using IChatClient client = languageModel.AsIChatClient(new LeapChatClientOptions
        {
            Generation = new GenerationOptions { PositionPolicy = PositionPolicy.Restart, TopK = 40 },
        });
        var options = new ChatOptions
        {
            Temperature = arguments.GetValue(temperature),
            Seed = arguments.GetValue(seed),
            MaxOutputTokens = arguments.GetValue(tokens),
        };
        Console.WriteLine("The model goes on with what you type. An empty line ends the program.");
        await new Terminal(client, options).RunAsync(Console.In, Console.Out).ConfigureAwait(false);
        return 0;
    }
    catch (Exception fault)
        when (fault is IOException or FormatException or InvalidDataException or ArgumentException or InvalidOperationException)
    {
        await Console.Error.WriteLineAsync($"chat: {fault.Message}");
        return 1;
    }
});

// Ctrl+C is the terminal's: by default it would end the whole program.
return await command.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
