using System.CommandLine;
using System.Text.Json;

namespace Leap.Tool;

/// <summary><c>leap generate</c>: continues a text.</summary>
internal static class GenerateCommand
{
    private static readonly GenerationOptions Defaults = new();

    public static Command Create()
    {
        var command = new Command(
            "generate",
            """
            Continues a text, and writes what comes as it comes.

            Examples:
              leap generate model.zip "Dear customer,"
              leap generate model.zip "Dear" --tokens 200 --temperature 0.7 --top-k 40 --seed 1
              leap generate model.zip "Dear" -n 5 --json
              echo "Dear" | leap generate model.zip -
            """);
        var model = new ModelOptions();
        var prompt = new Argument<string>("PROMPT")
        {
            Description = "The text to continue; nothing for a text from its beginning, - for standard input.",
            Arity = ArgumentArity.ZeroOrOne,
            DefaultValueFactory = _ => "",
        };
        var count = new Option<int>("--count", "-n") { Description = "Continuations to write.", HelpName = "N", DefaultValueFactory = _ => 1 };
        var tokens = new Option<int>("--tokens") { Description = "The most tokens to add.", HelpName = "N", DefaultValueFactory = _ => 100 };
        var temperature = new Option<double>("--temperature") { Description = "Below 1 plays safe, above 1 takes risks; 0 takes the likeliest token.", HelpName = "T", DefaultValueFactory = _ => Defaults.Temperature };
        var topK = new Option<int>("--top-k") { Description = "Draws from the K likeliest tokens; 0 for all.", HelpName = "K", DefaultValueFactory = _ => Defaults.TopK };
        var topP = new Option<double>("--top-p") { Description = "Draws from the likeliest tokens that have this probability together.", HelpName = "P", DefaultValueFactory = _ => Defaults.TopP };
        var minP = new Option<double>("--min-p") { Description = "Draws from tokens of at least this share of the likeliest one's probability.", HelpName = "P", DefaultValueFactory = _ => Defaults.MinP };
        var repetition = new Option<double>("--repetition-penalty") { Description = "Over 1 makes repetition rarer.", HelpName = "X", DefaultValueFactory = _ => Defaults.RepetitionPenalty };
        var stop = new Option<string[]>("--stop") { Description = "A text that ends the continuation; may be given several times.", HelpName = "TEXT" };
        var seed = new Option<int?>("--seed") { Description = "The same seed gives the same text.", HelpName = "N" };
        var json = new Option<bool>("--json") { Description = "Writes a JSON object per continuation: text, tokens, finishReason." };
        model.AddTo(command);
        command.Add(prompt);
        foreach (Option option in (Option[])[count, tokens, temperature, topK, topP, minP, repetition, stop, seed, json])
            command.Add(option);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var options = new GenerationOptions
            {
                MaximumNewTokens = parsed.GetValue(tokens),
                Temperature = parsed.GetValue(temperature),
                TopK = parsed.GetValue(topK),
                TopP = parsed.GetValue(topP),
                MinP = parsed.GetValue(minP),
                RepetitionPenalty = parsed.GetValue(repetition),
                StopStrings = parsed.GetValue(stop) ?? [],
                PositionPolicy = PositionPolicy.Restart,
            };
            if (parsed.GetValue(count) < 1)
                throw new UsageException($"--count must be at least 1, but is {parsed.GetValue(count)}.");
            string text = parsed.GetValue(prompt)!;
            if (text == InputFile.StandardInput)
                text = (await Console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false)).TrimEnd('\r', '\n');
            using LeapLanguageModel loaded = model.Load(parsed);
            TextWriter output = parsed.InvocationConfiguration.Output;
            for (int i = 0; i < parsed.GetValue(count); i++)
            {
                GenerationOptions each = options with { Seed = parsed.GetValue(seed) + i };
                if (parsed.GetValue(json))
                    WriteJson(loaded.Complete(text, each, cancellationToken), text, output);
                else
                    await StreamAsync(loaded, text, each, output, cancellationToken).ConfigureAwait(false);
            }
        });
        return command;
    }

    private static async Task StreamAsync(
        LeapLanguageModel model, string prompt, GenerationOptions options, TextWriter output, CancellationToken cancellationToken)
    {
        await output.WriteAsync(prompt).ConfigureAwait(false);
        await foreach (string piece in model.GenerateTextAsync(prompt, options, cancellationToken).ConfigureAwait(false))
        {
            await output.WriteAsync(piece).ConfigureAwait(false);
            await output.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        await output.WriteLineAsync().ConfigureAwait(false);
    }

    private static void WriteJson(GenerationResult result, string prompt, TextWriter output) => output.WriteLine(JsonSerializer.Serialize(
        new
        {
            prompt,
            text = result.Text,
            promptTokens = result.PromptTokenCount,
            tokens = result.Tokens.Select(token => new { id = token.Id, text = token.Text, logProbability = token.LogProbability }),
            finishReason = JsonNamingPolicy.CamelCase.ConvertName(result.FinishReason.ToString()),
        },
        InfoCommand.JsonLine));
}
