using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Shows a <see cref="TrainingReport"/> on the console.</summary>
internal static class TrainingTables
{
    public static void Write(TrainingReport report)
    {
        report.Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"{report.Shape}; medians of {report.Rounds} rounds");
        AnsiConsole.MarkupLineInterpolated(
            $"matrix products: {report.MatmulGflopsFloat32:0} GFLOP/s fp32, {report.MatmulGflopsBFloat16:0} GFLOP/s bf16");
        AnsiConsole.Write(Contestants(report));
        AnsiConsole.Write(Parts(report));
        AnsiConsole.MarkupLineInterpolated($"LEAP's step spends {report.LimitFraction:P0} of its time as its matrix products would at that rate.");
    }

    private static Table Contestants(TrainingReport report)
    {
        Table table = new Table().AddColumns("", "precision", "allocator settings", "tokens/s", "LEAP is faster by", "peak MB");
        Add("LEAP", report.Precision, "yes", report.TokensPerSecondLeap, null, report.PeakMegabytesLeap);
        Add("GPT-2", report.Precision, "yes", report.TokensPerSecondGpt2, report.RatioToGpt2, report.PeakMegabytesGpt2);
        Add(
            "naive LEAP",
            "fp32",
            "yes",
            report.TokensPerSecondNaiveTunedAllocator,
            report.RatioToNaiveTunedAllocator,
            report.PeakMegabytesNaiveTunedAllocator);
        Add("naive LEAP", "fp32", "no", report.TokensPerSecondNaive, report.RatioToNaive, report.PeakMegabytesNaive);
        return table;

        void Add(string name, string precision, string settings, double tokens, double? ratio, double megabytes) => table.AddRow(
            name,
            precision,
            report.Machine.AllocatorSettings ? settings : "no",
            tokens.ToString("N0", CultureInfo.InvariantCulture),
            ratio?.ToString("0.00 times", CultureInfo.InvariantCulture) ?? "",
            megabytes.ToString("N0", CultureInfo.InvariantCulture));
    }

    private static Table Parts(TrainingReport report)
    {
        Table table = new Table().AddColumns("part of LEAP's step", "ms", "share");
        Add("attention", report.AttentionMilliseconds);
        Add("matrix products and GELU of the blocks", report.BlockProductsMilliseconds);
        Add("output layer and loss", report.HeadAndLossMilliseconds);
        Add("optimizer and clipping", report.OptimizerAndClippingMilliseconds);
        Add("other", report.OtherMilliseconds);
        Add("step", report.StepMillisecondsLeap);
        return table;

        void Add(string name, double milliseconds) => table.AddRow(
            name,
            milliseconds.ToString("N1", CultureInfo.InvariantCulture),
            (milliseconds / report.StepMillisecondsLeap).ToString("P0", CultureInfo.InvariantCulture));
    }
}
