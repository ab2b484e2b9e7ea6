using System.CommandLine;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

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
