using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Spectre.Console;

namespace Leap.Tool;

/// <summary><c>leap info</c>: what a model is, and how it was made.</summary>
internal static class InfoCommand
{
    /// <summary>How the tool writes JSON for people and programs.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>The same on one line.</summary>
    public static JsonSerializerOptions JsonLine { get; } = new(Json) { WriteIndented = false };

    public static Command Create()
    {
        var command = new Command(
            "info",
            """
            Tells what a model is: the network's shape, the tokenizer, how the training went, and the licence of the texts where one was noted.

            Examples:
              leap info model.zip
              leap info model.zip --json
            """);
        var path = new Argument<string>("MODEL") { Description = "The model: a zip or a folder." };
        var json = new Option<bool>("--json") { Description = "Writes it as JSON." };
        command.Add(path);
        command.Add(json);
        command.SetAction(parsed =>
        {
            string name = parsed.GetRequiredValue(path);
            if (!File.Exists(name) && !Directory.Exists(name))
                throw new FileNotFoundException($"There is no model {name}.", name);
            using LeapLanguageModelTransformer model = ModelFile.LoadTransformer(new MLContext(), name);
            ModelInfo info = Describe(model, ModelFile.ReadNotes(name));
            if (parsed.GetValue(json))
                parsed.InvocationConfiguration.Output.WriteLine(JsonSerializer.Serialize(info, Json));
            else
                Show(info, parsed.InvocationConfiguration.Output);
        });
        return command;
    }

    private static ModelInfo Describe(LeapLanguageModelTransformer model, ModelNotes? notes)
    {
        LeapConfig config = model.Config;
        return new ModelInfo(
            config.ParameterCount, model.Model.SizeInBytes, config.LayerCount, config.HiddenSize, config.HeadCount, config.FocusSize, config.ContextLength,
            config.UseForgetGates ? null : config.WindowSizes, config.ConvolutionSize, config.UsePositionEmbeddings, model.Tokenizer.Kind, model.Tokenizer.VocabularySize, model.Recipe?.ToString(),
            [.. model.History.Records.Select(record => new Epoch(record.Epoch, record.Step, record.TrainingLoss, record.ValidationLoss, record.Elapsed.TotalSeconds))],
            notes?.Sources, notes?.License);
    }

    private static void Show(ModelInfo info, TextWriter output)
    {
        IAnsiConsole console = Terminal.Open(output);
        Table facts = new Table().Border(TableBorder.None).HideHeaders().AddColumns("", "");
        Add("parameters", info.Parameters.ToString("N0", CultureInfo.InvariantCulture));
        Add("in memory", string.Create(CultureInfo.InvariantCulture, $"{info.Bytes / 1e6:0.0} MB, that of counted n-grams with it"));
        Add("network", $"{info.Layers} layers, width {info.HiddenSize}, {info.Heads} heads, focus of {info.FocusSize}, {(info.Windows is null ? "forget gates" : $"windows {string.Join(", ", info.Windows)}")}");
        Add("context", $"{info.ContextLength} tokens{(info.UsesPositions ? ", with learned positions" : "")}");
        Add("convolutions", info.ConvolutionSize == 0 ? "none" : $"of {info.ConvolutionSize} tokens");
        Add("tokenizer", string.Create(CultureInfo.InvariantCulture, $"{info.Tokenizer}, {info.VocabularySize:N0} tokens"));
        Add("trained on", info.Recipe);
        Add("files", info.Sources is null ? null : string.Join(", ", info.Sources));
        Add("licence of texts", info.License ?? (info.Sources is null ? null : "not noted"));
        console.Write(facts);
        if (info.History.Count == 0)
            return;

        Table history = new Table().Border(TableBorder.Simple).AddColumns("epoch", "step", "loss", "validation loss", "seconds");
        foreach (Epoch each in info.History)
            history.AddRow(Text(each.Number, "N0"), Text(each.Step, "N0"), Text(each.Loss, "0.0000"), Text(each.ValidationLoss ?? double.NaN, "0.0000"), Text(each.Seconds, "N0"));
        console.Write(history);

        void Add(string name, string? value)
        {
            if (value is not null)
                facts.AddRow(Markup.Escape(name), Markup.Escape(value));
        }
    }

    private static string Text(double value, string format) => double.IsNaN(value) ? "" : value.ToString(format, CultureInfo.InvariantCulture);

    private sealed record ModelInfo(
        long Parameters, long Bytes, int Layers, int HiddenSize, int Heads, int FocusSize, int ContextLength, IReadOnlyList<int>? Windows, int ConvolutionSize,
        bool UsesPositions, string Tokenizer, int VocabularySize, string? Recipe, IReadOnlyList<Epoch> History, IReadOnlyList<string>? Sources, string? License);

    private sealed record Epoch([property: JsonPropertyName("epoch")] int Number, long Step, double Loss, double? ValidationLoss, double Seconds);
}
