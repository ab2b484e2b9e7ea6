using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Sums over the last <c>window</c> places of a sequence, without a single subtraction.</summary>
/// <remarks>
/// A window's sum as the difference of two running sums cancels: where summands differ by many orders of magnitude nothing of it is
/// left. So: a global window is a running sum; a window of at most 64 is doubled from shorter ones; a longer one, split at the
/// border between two blocks of its length, is a suffix sum of the earlier block plus a prefix sum of the later one.
/// The gradient is the same sum, taken towards the future.
/// </remarks>
internal static class WindowedSum
{
    private const int LongestDoubled = 64;

    /// <summary>Returns <c>y[b, i] = x[b, max(0, i - window + 1)] + ... + x[b, i]</c>.</summary>
    /// <param name="x">Summands of shape [B, N, ...]; time is the second dimension.</param>
    /// <param name="window">Number of places, at least 1; N or more sums all that came before.</param>
    public static Tensor Compute(Tensor x, int window)
    {
        if (window == 1)
            return x;
        if (x.requires_grad && is_grad_enabled())
            return Function.apply(x, window);

        using DisposeScope scope = NewDisposeScope();
        return Past(x, window).MoveToOuterDisposeScope();
    }

    private static Tensor Past(Tensor x, int window)
    {
        long length = x.shape[1];
        if (window >= length)
            return x.cumsum(1);
        if (window <= LongestDoubled)
            return Doubled(Padded(x, window - 1, 0), window);

        // Place i of block k: the rest of block k after i, and block k + 1 up to i; one block of zeros goes ahead.
        using Tensor blocks = Blocks(Padded(x, window, RoundUp(length, window) - length), window);
        long count = blocks.shape[1] - 1;
        Tensor sums = blocks.narrow(1, 1, count).cumsum(2);
        Tensor suffixes = Suffixes(blocks.narrow(1, 0, count));
        sums.narrow(2, 0, window - 1).Add(suffixes.narrow(2, 1, window - 1));
        return Unblocked(sums, length);
    }

    private static Tensor Future(Tensor x, int window)
    {
        long length = x.shape[1];
        if (window >= length)
            return x.flip(1).cumsum(1).flip(1);
        if (window <= LongestDoubled)
            return Doubled(Padded(x, 0, window - 1), window);

        // Place i of block k: the rest of block k from i on, and block k + 1 before i; one block of zeros follows.
        using Tensor blocks = Blocks(Padded(x, 0, RoundUp(length, window) - length + window), window);
        long count = blocks.shape[1] - 1;
        Tensor sums = Suffixes(blocks.narrow(1, 0, count));
        Tensor prefixes = blocks.narrow(1, 1, count).cumsum(2);
        sums.narrow(2, 1, window - 1).Add(prefixes.narrow(2, 0, window - 1));
        return Unblocked(sums, length);
    }

    // Sums of `window` places that begin at each place: twice the half window, and one place more where the window is odd.
    private static Tensor Doubled(Tensor x, int window)
    {
        if (window == 1)
            return x;

        int half = window / 2;
        Tensor halves = Doubled(x, half);
        long count = halves.shape[1] - half;
        Tensor sums = halves.narrow(1, 0, count).Plus(halves.narrow(1, half, count));
        return window % 2 == 0 ? sums : sums.narrow(1, 0, count - 1).Add(x.narrow(1, window - 1, count - 1));
    }

    private static Tensor Suffixes(Tensor blocks) => blocks.flip(2).cumsum(2).flip(2);

    private static Tensor Padded(Tensor x, long before, long after)
    {
        long[] shape = x.shape;
        Tensor padded = empty([shape[0], before + shape[1] + after, .. shape[2..]], x.dtype, x.device);
        padded.narrow(1, 0, before).zero_();
        padded.narrow(1, before, shape[1]).copy_(x);
        padded.narrow(1, before + shape[1], after).zero_();
        return padded;
    }

    private static Tensor Blocks(Tensor x, int window) =>
        x.view([x.shape[0], x.shape[1] / window, window, .. x.shape[2..]]);

    private static Tensor Unblocked(Tensor sums, long length) =>
        sums.view([sums.shape[0], -1, .. sums.shape[3..]]).narrow(1, 0, length);

    private static long RoundUp(long length, int window) => (length + window - 1) / window * window;

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        private const string Window = "window";

        public override string Name => nameof(WindowedSum);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (x, window) = ((Tensor)vars[0], (int)vars[1]);
            ctx.save_data(Window, window);
            using DisposeScope scope = NewDisposeScope();
            return Past(x, window).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            return [Future(grad_output, (int)ctx.get_data(Window)).MoveToOuterDisposeScope(), null!];
        }
    }
}
