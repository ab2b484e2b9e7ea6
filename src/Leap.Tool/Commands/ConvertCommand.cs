using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML;

namespace Leap.Tool;

/// <summary><c>leap convert</c>: a model as a folder or a zip, with weights of another format.</summary>
internal static class ConvertCommand
{
    public static Command Create()
    {
        var command = new Command(
            "convert",
            """
            Writes a model in another form: a folder in the layout of Hugging Face, or a zip; with weights of fewer bits if asked for. A zip of single precision is
            ML.NET's. One of fewer bits is the zip of such a folder: this tool, LeapLanguageModel.Load and the page in a browser read it, and ML.NET's Model.Load does not.

            Examples:
              leap convert model.zip -o folder
              leap convert model.zip -o small --weights int8
              leap convert model.zip -o small.zip --weights int8
              leap convert folder -o model.zip
            """);
        var path = new Argument<string>("MODEL") { Description = "The model: a zip or a folder." };
        var output = new Option<string>("--output", "-o") { Description = "What to write: a name that ends with .zip, or a folder.", HelpName = "PATH", Required = true };
        var weights = new Option<WeightFormat>("--weights") { Description = "float32 (the default), bfloat16 (half of the size) or int8 (a quarter).", HelpName = "FORMAT" };
        var json = new Option<bool>("--json") { Description = "Writes the result as JSON." };
        command.Add(path);
        command.Add(output);
        command.Add(weights);
        command.Add(json);
        command.SetAction(parsed =>
        {
            string source = parsed.GetRequiredValue(path), target = parsed.GetRequiredValue(output);
            OutputPath.RequireOther(target, source);
            bool isZip = target.EndsWith(".zip", StringComparison.OrdinalIgnoreCase);
            if (isZip)
                OutputPath.RequireFile(target);
            WeightFormat format = parsed.GetValue(weights);
            if (!isZip)
                WriteFolder(source, target, format);
            else if (format == WeightFormat.Float32)
                WriteZip(source, target);
            else
                WriteSmallZip(source, target, format);

            long bytes = isZip ? new FileInfo(target).Length : new DirectoryInfo(target).EnumerateFiles().Sum(file => file.Length);
            parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json)
                ? JsonSerializer.Serialize(new { model = target, bytes }, InfoCommand.Json)
                : string.Create(CultureInfo.InvariantCulture, $"{target}: {bytes / 1e6:0.0} MB."));
        });
        return command;
    }

    private static void WriteZip(string source, string target)
    {
        var context = new MLContext();
        using LeapLanguageModelTransformer model = ModelFile.LoadTransformer(context, source);
        ModelFile.Save(context, model, null, target, ModelFile.ReadNotes(source));
    }

    private static void WriteSmallZip(string source, string target, WeightFormat weights)
    {
        using LeapLanguageModel model = LeapLanguageModel.Load(source);
        ModelFile.SaveFolder(model, weights, target, ModelFile.ReadNotes(source));
    }

    private static void WriteFolder(string source, string target, WeightFormat weights)
    {
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
            throw new UsageException($"The folder {target} is not empty: name a new one.");
        using LeapLanguageModel model = LeapLanguageModel.Load(source);
        model.Save(target, weights);
    }
}
