using BenchmarkDotNet.Reports;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "micro" measured.</summary>
internal sealed record MicroReport(MachineFacts Machine, IReadOnlyList<MicroResult> Rows)
{
    public static MicroReport Of(IEnumerable<Summary> summaries)
    {
        BenchmarkReport[] reports = [.. summaries.SelectMany(summary => summary.Reports)];
        if (reports.FirstOrDefault(report => report.ResultStatistics is null) is BenchmarkReport failed)
            throw new InvalidOperationException($"The benchmark {failed.BenchmarkCase.DisplayInfo} gave no result.");
        return new MicroReport(MachineFacts.Collect(), [.. reports.Select(Row)]);
    }

    private static MicroResult Row(BenchmarkReport report) => new(
        report.BenchmarkCase.Descriptor.GetFilterName(),
        report.BenchmarkCase.Parameters.DisplayInfo,
        report.ResultStatistics!.Mean / 1000,
        report.ResultStatistics.StandardError / 1000);
}
