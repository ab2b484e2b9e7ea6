using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Muon (Jordan 2024) for the matrices of the blocks: the step is the gradients' moving mean with all singular values near 1, so that
/// rare directions learn as fast as frequent ones.</summary>
/// <remarks>Matrices move in every second step, twice as far. That costs half as much, and trains as well (docs/research.md).
/// The root mean square of what moves per step is about a fifth of the learning rate, as AdamW's is (Liu et al. 2025): both take the same
/// learning rate and weight decay.</remarks>
internal sealed class MuonOptimizer : IDisposable
{
    /// <summary>The steps of which the first moves the matrices.</summary>
    private const int StepsPerMove = 2;

    // Values of matrices that are multiplied together: one product of many small ones is several times as fast as a product of each. The bound keeps
    // the iteration's memory from growing with the number of layers.
    private const long MostTogether = 1 << 22;

    private const double Momentum = 0.95;
    private const double RootMeanSquare = 0.2;

    private readonly Slot[] _slots;
    private readonly double _weightDecay;
    private readonly bool _usesBFloat16;

    /// <param name="weights">Matrices.</param>
    /// <param name="options">The weight decay, which is not left open, and the precision of products.</param>
    public MuonOptimizer(IReadOnlyList<(string Name, Parameter Weight)> weights, TrainingOptions options)
    {
        _weightDecay = options.WeightDecay!.Value;
        _usesBFloat16 = options.Precision == TrainingPrecision.BFloat16;
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        _slots = [.. weights.Select(entry => new Slot(entry.Name, entry.Weight, zeros_like(entry.Weight).detach().DetachFromDisposeScope()))];
    }

    /// <summary>Gets the moving means of gradients by name; they may be written in place.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => _slots.Select(slot => KeyValuePair.Create($"momentum.{slot.Name}", slot.Mean));

    /// <summary>Changes the weights by their gradients; those without a gradient stay.</summary>
    /// <param name="step">The step's number, from 1: those with an odd one move the weights.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="gradientFactor">What the gradients, which stay as they are, count for.</param>
    public void Step(long step, double learningRate, double gradientFactor = 1)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Slot[] moved = [.. _slots.Where(slot => slot.Weight.grad is not null)];
        foreach (Slot slot in moved)
            slot.MoveMean(gradientFactor);

        if (step % StepsPerMove != 1)
            return;

        foreach (Slot[] slots in moved.GroupBy(slot => slot.Sides).SelectMany(group => group.Chunk(CountTogether(group.Key))))
            Move(slots, learningRate * StepsPerMove, gradientFactor);
    }

    public void Dispose()
    {
        foreach (Slot slot in _slots)
            slot.Mean.Dispose();
    }

    private static int CountTogether((long Longer, long Shorter) sides) => (int)Math.Max(1, MostTogether / (sides.Longer * sides.Shorter));

    // All of one shape, upright or lying.
    private void Move(Slot[] slots, double learningRate, double gradientFactor)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor means = stack([.. slots.Select(slot => slot.Turned(slot.NextMean(gradientFactor)))]);
        Tensor[] changes = NewtonSchulz.Orthogonalize(means, _usesBFloat16).unbind();

        // Orthogonal rows or columns of length 1 have the root mean square 1 / sqrt(longer side).
        double size = learningRate * RootMeanSquare * Math.Sqrt(slots[0].Sides.Longer);
        foreach (var (slot, change) in slots.Zip(changes))
            slot.Weight.Multiply(1 - learningRate * _weightDecay).Add(slot.Turned(change), -size);
    }

    /// <param name="Name">The weight's name.</param>
    /// <param name="Weight">[rows, columns].</param>
    /// <param name="Mean">The moving mean of gradients, [rows, columns].</param>
    private sealed record Slot(string Name, Parameter Weight, Tensor Mean)
    {
        public (long Longer, long Shorter) Sides { get; } = (Weight.shape.Max(), Weight.shape.Min());

        /// <summary>Moves the mean towards the gradient.</summary>
        public void MoveMean(double gradientFactor) => Mean.Multiply(Momentum).Add(Weight.grad!, (1 - Momentum) * gradientFactor);

        /// <summary>Returns where the mean would go next if the gradient stayed the same: Nesterov's form, but for its size, which does not
        /// count.</summary>
        public Tensor NextMean(double gradientFactor) => Mean.Plus(Weight.grad!, (1 - Momentum) / Momentum * gradientFactor);

        /// <summary>Turns a matrix of the weight's shape so that its longer side is upright, and one that was turned back.</summary>
        public Tensor Turned(Tensor matrix) => Weight.shape[0] < Weight.shape[1] ? matrix.t() : matrix;
    }
}

/// <summary>Brings the singular values of matrices near 1 by products alone: Newton and Schulz's iteration, with the first coefficients of
/// Amsel and others' Polar Express (2025).</summary>
/// <remarks>A singular value of at least 0.2 % of the matrix's Frobenius norm comes out between 0.18 and 1.87. More steps came nearer to 1, cost
/// more, and trained no better (docs/research.md).</remarks>
internal static class NewtonSchulz
{
    private static readonly (float A, float B, float C)[] Steps =
    [
        (8.287212f, -23.595887f, 17.300387f),
        (4.107059f, -2.947850f, 0.544843f),
        (3.948691f, -2.908902f, 0.551819f),
    ];

    // Of a gradient of 0 the step is 0.
    private const double LeastNorm = 1e-12;

    /// <summary>Replaces each singular value s of a matrix, divided by the matrix's Frobenius norm, by p3(p2(p1(s))), each
    /// p(s) = A s + B s^3 + C s^5.</summary>
    /// <param name="x">[n, rows, columns], of single precision; fastest where columns are no more than rows.</param>
    /// <param name="usesBFloat16">Whether factors and products are rounded to bfloat16.</param>
    /// <returns>[n, rows, columns], of single precision.</returns>
    public static Tensor Orthogonalize(Tensor x, bool usesBFloat16)
    {
        using DisposeScope scope = NewDisposeScope();
        using Scalar least = LeastNorm.ToScalar();
        x = x.div(x.flatten(1).norm(1, keepdim: true).unsqueeze(2).clamp_min(least));
        Tensor result = usesBFloat16
            ? IterateOnProduct(StepOnMatrix(x.to(ScalarType.BFloat16), Steps[0]), Steps.AsSpan(1)).to(x.dtype)
            : IterateOnProduct(x, Steps);
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>One step of the iteration as its authors write it, X = X (A I + B G + C G^2) with G = X^T X. A small singular value is a factor of all
    /// that it is made from, so bfloat16 leaves it small.</summary>
    private static Tensor StepOnMatrix(Tensor x, (float A, float B, float C) step)
    {
        Tensor G = x.transpose(1, 2).matmul(x);
        return Combine(step.A, x, 1, x, Combine(step.B, G, step.C, G, G));
    }

    /// <summary>The iteration on the product G alone: what X is multiplied by in the end are polynomials of G. That takes a quarter less of products, but
    /// in bfloat16 an eigenvalue of 0 may become negative, and each step makes it many times as large: three steps are too many there, and
    /// the last two do no harm.</summary>
    private static Tensor IterateOnProduct(Tensor x, ReadOnlySpan<(float A, float B, float C)> steps)
    {
        Tensor G = x.transpose(1, 2).matmul(x);
        Tensor Q = eye(G.shape[1], G.shape[1], x.dtype, x.device);
        for (int step = 0; step < steps.Length; step++)
        {
            var (A, B, C) = steps[step];

            // p's matrix is P = A I + R, and X's next product is P G P. All of these commute.
            Tensor R = Combine(B, G, C, G, G);
            Q = step == 0 ? R.Plus(Q.Times(A)) : Combine(A, Q, 1, R, Q);
            if (step == steps.Length - 1)
                break;
            Tensor PG = Combine(A, G, 1, R, G);
            G = Combine(A, PG, 1, R, PG);
        }

        return x.matmul(Q);
    }

    // beta z + alpha x y. In TorchSharp the first factor is the receiver, and not the summand as in PyTorch.
    private static Tensor Combine(float beta, Tensor z, float alpha, Tensor x, Tensor y) => x.baddbmm(y, z, beta, alpha);
}
