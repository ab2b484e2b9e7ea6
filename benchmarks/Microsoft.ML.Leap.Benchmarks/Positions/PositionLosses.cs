using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The mean loss of a network over a stream of ids far longer than its context, as generation would read it by each policy.</summary>
internal static class PositionLosses
{
    private const int PassLength = 2048;

    /// <summary>Blocks of the context's length, each from its beginning.</summary>
    public static double Blocks(LeapModel model, int[] ids) => Windows(model, ids, model.Config.ContextLength, 0);

    /// <summary>As <see cref="PositionPolicy.Restart"/>: what finds the context full is read as the last of half a context.</summary>
    public static double Restarting(LeapModel model, int[] ids)
    {
        int half = Math.Max(1, model.Config.ContextLength / 2);
        return Windows(model, ids, model.Config.ContextLength + 1 - half, half - 1);
    }

    /// <summary>All in one stream: <see cref="PositionPolicy.Clamp"/>, or no positions.</summary>
    public static double Endless(LeapModel model, int[] ids)
    {
        using RecurrentState state = RecurrentState.Create(model.Config, model.Device);
        double sum = 0;
        for (int start = 0; start < ids.Length - 1; start += PassLength)
        {
            using DisposeScope scope = NewDisposeScope();
            int count = Math.Min(PassLength, ids.Length - 1 - start);
            sum += Sum(model, model.Continue(Row(model, ids, start, count), [state]), ids, start, 0);
        }

        return sum / (ids.Length - 1);
    }

    private static double Windows(LeapModel model, int[] ids, int stride, int firstScored)
    {
        double sum = 0;
        int scored = 0;
        for (int start = 0; scored < ids.Length - 1; start += stride)
        {
            using DisposeScope scope = NewDisposeScope();
            using var noGradients = no_grad();
            int count = Math.Min(model.Config.ContextLength, ids.Length - 1 - start);
            int first = start == 0 ? 0 : firstScored;
            sum += Sum(model, model.Hidden(Row(model, ids, start, count), null), ids, start, first);
            scored += count - first;
        }

        return sum / scored;
    }

    private static Tensor Row(LeapModel model, int[] ids, int start, int count) =>
        tensor([.. ids.AsSpan(start, count).ToArray().Select(id => (long)id)], [1, count], device: model.Device);

    private static double Sum(LeapModel model, Tensor hidden, int[] ids, int start, int first)
    {
        using var noGradients = no_grad();
        long count = hidden.shape[1] - first;
        Tensor logits = model.Logits(hidden[0].narrow(0, first, count));
        Tensor targets = Row(model, ids, start + first + 1, (int)count)[0];
        return nn.functional.cross_entropy(logits, targets, reduction: nn.Reduction.Sum).item<float>();
    }
}
