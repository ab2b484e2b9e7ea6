using System.CommandLine;
using System.Globalization;
using Chat;
using Microsoft.Extensions.AI;
using Microsoft.ML.Leap;

// Continues what is typed, streamed to the terminal. A small model is trained on the .NET documentation of the SDK at hand when none is given.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var model = new Argument<string?>("model")
{
    Description = "A model's zip, or a folder in the layout of Hugging Face; without it one is trained in half a minute",
    Arity = ArgumentArity.ZeroOrOne,
};
var save = new Option<string?>("--save") { Description = "Where to save a model that was trained here, as a zip" };
var temperature = new Option<float>("--temperature") { Description = "0 always takes the likeliest token", DefaultValueFactory = _ => 0.8f };
var seed = new Option<int?>("--seed") { Description = "The same seed gives the same text" };
var tokens = new Option<int>("--tokens") { Description = "The most tokens of an answer", DefaultValueFactory = _ => 100 };
var command = new RootCommand("Continues what you type. Ctrl+C ends a running text, an empty line the program.") { model, save, temperature, seed, tokens };
command.SetAction(async (arguments, cancellationToken) =>
{
    using LeapLanguageModelTransformer transformer = ChatModel.Open(arguments.GetValue(model), arguments.GetValue(save));
    using var client = new LeapChatClient(
        transformer, new LeapChatClientOptions { Generation = new GenerationOptions { PositionPolicy = PositionPolicy.Restart, TopK = 40 } });
    var options = new ChatOptions
    {
        Temperature = arguments.GetValue(temperature),
        Seed = arguments.GetValue(seed),
        MaxOutputTokens = arguments.GetValue(tokens),
    };
    await new Terminal(client, options).RunAsync(Console.In, Console.Out).ConfigureAwait(false);
});
return await command.Parse(args).InvokeAsync();
