using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The precision of training on the command line and in reports.</summary>
internal static class PrecisionChoice
{
    public static Option<TrainingPrecision> CreateOption(TrainingPrecision defaultValue) =>
        new("--precision") { Description = "Of matrix products while training", DefaultValueFactory = _ => defaultValue };

    public static string NameOf(bool usesBFloat16) => usesBFloat16 ? "bfloat16" : "float32";
}
