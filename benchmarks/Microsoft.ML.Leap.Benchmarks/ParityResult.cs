using System.Globalization;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What a comparison found: measured errors, each beside the largest that passes. A null error could not be measured.</summary>
internal sealed record ParityResult(params (string Name, double? Error, double Tolerance)[] Errors)
{
    // Written so that an error that is not a number fails.
    public bool IsPass => Errors.All(e => e.Error is null || e.Error <= e.Tolerance);

    public string Report => string.Join(' ', Errors.Select(e => $"{e.Name} {e.Error?.ToString("0.00e+00", CultureInfo.InvariantCulture) ?? "n/a"}"));
}
