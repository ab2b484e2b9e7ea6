using System.CommandLine;
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
