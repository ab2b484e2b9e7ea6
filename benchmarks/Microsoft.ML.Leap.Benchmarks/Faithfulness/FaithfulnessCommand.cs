using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "faithfulness": whether the tokens with the most focus are those that the model uses.</summary>
internal static class FaithfulnessCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var picture = new Option<FileInfo?>("--picture") { Description = "File for an SVG of a held-out text" };
        var texts = new Option<FileInfo>("--texts") { Description = "Texts, one a line, in place of the .NET documentation" };
        texts.AcceptExistingOnly();
        Option<int> characters = PositiveOption.Create("--characters", "Characters to train the text model on", 3_000_000);
        Option<int> count = PositiveOption.Create("--count", "Texts, and sequences, that tokens are removed from; at least 2", 300);
        Option<int> context = PositiveOption.Create("--context", "The text model's context", 256);
        Option<int> steps = PositiveOption.Create("--planted-steps", "Steps of each model of planted keys", 1500);
        Option<int> sequences = PositiveOption.Create("--sequences", "Planted keys asked for at each distance", 400);
        var distances = new Option<int[]>("--distances")
        {
            Description = "Places from key to question",
            DefaultValueFactory = _ => [50, 100, 200, 500, 1000, 2000],
            AllowMultipleArgumentsPerToken = true,
        };
        distances.Validators.Add(option =>
        {
            if (option.GetValueOrDefault<int[]>() is not { Length: > 0 } given || given.Any(distance => distance < 1))
                option.AddError("--distances must each be at least 1.");
        });
        var seed = new Option<int>("--seed") { Description = "Decides weights and draws", DefaultValueFactory = _ => 1 };
        var command = new System.CommandLine.Command("faithfulness", "Remove focused tokens and watch the loss; find planted keys.")
        {
            json, picture, texts, characters, count, context, steps, sequences, distances, seed,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            FaithfulnessReport report = new FaithfulnessBenchmark(new FaithfulnessSettings
            {
                Picture = result.GetValue(picture),
                Texts = result.GetValue(texts),
                Characters = result.GetValue(characters),
                TextCount = Math.Max(2, result.GetValue(count)),
                ContextLength = result.GetValue(context),
                PlantedSteps = result.GetValue(steps),
                Distances = result.GetRequiredValue(distances),
                Sequences = result.GetValue(sequences),
                Seed = result.GetValue(seed),
            }).Run();
            report.Write();
            if (result.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        }));
        return command;
    }
}
