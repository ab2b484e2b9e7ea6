using System.CommandLine;
using System.Globalization;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "shakespeare": a character-level model on nanoGPT's small budget.</summary>
internal static class ShakespeareCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new Option<FileInfo>("--data") { Description = "The text, in UTF-8; unpacked where its name ends with .gz", Required = true };
        data.AcceptExistingOnly();
        var steps = PositiveOption.Create("--steps", "Optimizer steps", 2000);
        var learningRate = new Option<double>("--learning-rate")
        {
            Description = "The greatest, from which a cosine falls to a tenth; nanoGPT has 1e-3",
            DefaultValueFactory = _ => 2e-3,
        };
        learningRate.Validators.Add(result =>
        {
            if (!(result.GetValueOrDefault<double>() is > 0 and < double.PositiveInfinity))
                result.AddError("--learning-rate must be over 0 and finite.");
        });
        var seed = new Option<int>("--seed") { Description = "Decides weights and order", DefaultValueFactory = _ => 1 };
        var json = new Option<string?>("--json") { Description = "File for the result" };
        Option<string> model = ModelChoice.CreateOption();
        Option<string?> device = ModelChoice.CreateDeviceOption();

        // What nanoGPT uses on a CPU.
        Option<TrainingPrecision> precision = PrecisionChoice.CreateOption(TrainingPrecision.Float32);
        var command = new System.CommandLine.Command("shakespeare", "Train a character-level model on nanoGPT's small budget.")
        {
            data, model, steps, learningRate, seed, device, precision, json,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            Device chosen = DeviceSelector.Select(result.GetValue(device), null, fallbackToCpu: false, Console.WriteLine);
            ShakespeareReport report = ShakespeareRun.Run(
                TextFile.ReadAll(result.GetRequiredValue(data).FullName), result.GetRequiredValue(model), chosen,
                result.GetValue(precision), result.GetValue(learningRate), result.GetValue(steps), result.GetValue(seed),
                new ConsoleProgress().Report);
            Print(report);
            if (result.GetValue(json) is string path)
                JsonReport.Write(path, report);
        }));
        return command;
    }

    private static void Print(ShakespeareReport report) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{report.Model}: validation loss {report.ValidationLoss:0.0000} nats a character over {report.ValidationCharacters} characters after " +
        $"{report.Steps} steps; {report.Seconds:0} s, {report.TokensPerSecond:0} tokens/s in {report.Precision} on {report.Device} with {report.Threads} threads"));
}
