using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>LEAP reading the whole prefix anew for each token.</summary>
/// <param name="model">The network.</param>
/// <param name="ids">The prefix.</param>
/// <param name="allLogits">Whether the logits of all tokens are computed, as the original does; otherwise the last token's alone.</param>
internal sealed class LeapRecomputation(LeapModel model, int[] ids, bool allLogits) : IGenerationContestant
{
    private readonly long[] _ids = [.. ids];

    public double Measure()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        long start = Stopwatch.GetTimestamp();
        Tensor hidden = model.Hidden(tensor(_ids, [1, _ids.Length]), null);
        Tensor logits = allLogits ? model.Logits(hidden) : model.Logits(hidden.narrow(1, -1, 1));
        _ = logits[0, -1].argmax().item<long>();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    public void Dispose()
    {
    }
}
