using System.CommandLine;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Options that are whole numbers of at least 1.</summary>
internal static class PositiveOption
{
    public static Option<int> Create(string name, string description, int defaultValue) =>
        Checked(new Option<int>(name) { Description = description, DefaultValueFactory = _ => defaultValue });

    /// <summary>Makes an option for tests: only its default is the benchmark.</summary>
    public static Option<int> CreateHidden(string name, int defaultValue)
    {
        Option<int> option = Create(name, "", defaultValue);
        option.Hidden = true;
        return option;
    }

    public static Option<T> Checked<T>(Option<T> option)
    {
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<T>() is < 1)
                result.AddError($"{option.Name} must be at least 1.");
        });
        return option;
    }
}

/// <summary>The contestants by name, and what they run on.</summary>
internal static class ModelChoice
{
    public const string Leap = "leap";
    public const string Gpt2 = "gpt2";

    public static Option<string> CreateOption()
    {
        var option = new Option<string>("--model") { Description = "The network", DefaultValueFactory = _ => Leap };
        option.AcceptOnlyFromAmong(Leap, Gpt2);
        return option;
    }

    public static Option<string?> CreateDeviceOption() =>
        new("--device") { Description = "cpu, cuda or cuda:N; by default CUDA if there is one, else the CPU" };

    public static LanguageModelNetwork Create(string name, LeapConfig config, Device device, long seed) =>
        name == Gpt2 ? new Gpt2Model(config, device, seed) : new LeapModel(config, device, seed);
}

/// <summary>The device on the command line.</summary>
internal static class DeviceChoice
{
    /// <summary>Gives the device of a name; of null CUDA if there is one, else the CPU.</summary>
    public static Device Get(string? name) => DeviceSelector.Select(name, null, fallbackToCpu: false, Console.Error.WriteLine);

    /// <summary>Waits until a GPU has computed what it was told to: its work goes on when a call returns.</summary>
    public static void Wait(Device device)
    {
        if (device.type == DeviceType.CUDA)
            cuda.synchronize(device);
    }
}

/// <summary>What of a network and its training is chosen, the same for each network.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="ConvolutionSize">Tokens of the short convolutions; 0 for none.</param>
/// <param name="UseForgetGates">Whether LEAP's heads have forget gates in place of windows; GPT-2 has neither.</param>
/// <param name="FocusSize">Values per head in LEAP's F1, and in F2; null for as many as a head has.</param>
/// <param name="Optimizer">How gradients change the weights.</param>
internal sealed record NetworkRecipe(string Name, int ConvolutionSize, bool UseForgetGates, int? FocusSize, TrainingOptimizer Optimizer)
{
    /// <summary>Gets the networks as their authors wrote them.</summary>
    public static NetworkRecipe Original { get; } = new("original", ConvolutionSize: 0, UseForgetGates: false, FocusSize: null, TrainingOptimizer.AdamW);

    /// <summary>Gets what the library chooses by itself.</summary>
    public static NetworkRecipe Default { get; } = new("default", ConvolutionSize: 4, UseForgetGates: true, FocusSize: 8, TrainingOptimizer.Muon);

    public static Option<string> CreateOption()
    {
        var option = new Option<string>("--recipe")
        {
            Description = "The network and its training: those of 2022, or today's",
            DefaultValueFactory = _ => Original.Name,
        };
        option.AcceptOnlyFromAmong(Original.Name, Default.Name);
        return option;
    }

    public static NetworkRecipe Get(string name) => name == Default.Name ? Default : Original;
}

/// <summary>The precision of training on the command line and in reports.</summary>
internal static class PrecisionChoice
{
    public static Option<TrainingPrecision> CreateOption(TrainingPrecision defaultValue) =>
        new("--precision") { Description = "Of matrix products while training", DefaultValueFactory = _ => defaultValue };

    public static string GetName(bool usesBFloat16) => usesBFloat16 ? "bfloat16" : "float32";
}

/// <summary>Turns the faults that a user can mend into a line on the error stream and an exit code.</summary>
internal static class ReadableErrors
{
    public static int Run(Action action)
    {
        try
        {
            action();
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException
            or ArgumentException or InvalidOperationException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }
}
