using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Muon (Jordan 2024) for the matrices of the blocks: the step is the gradients' moving mean with all singular values near 1, so that
/// rare directions learn as fast as frequent ones.</summary>
/// <remarks>The step's root mean square is a fifth of the learning rate, about AdamW's (Liu et al. 2025), so that both take the same learning
/// rate and weight decay.</remarks>
internal sealed class MuonOptimizer : IDisposable
{
    private const double Momentum = 0.95;
    private const double RootMeanSquare = 0.2;

    private readonly Slot[] _slots;
    private readonly double _weightDecay;

    /// <param name="weights">Matrices.</param>
    /// <param name="options">The weight decay.</param>
    public MuonOptimizer(IReadOnlyList<(string Name, Parameter Weight)> weights, TrainingOptions options)
    {
        _weightDecay = options.WeightDecay;
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        _slots = [.. weights.Select(entry => new Slot(entry.Name, entry.Weight, zeros_like(entry.Weight).detach().DetachFromDisposeScope()))];
    }

    /// <summary>Gets the moving means of gradients by name; they may be written in place.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => _slots.Select(slot => KeyValuePair.Create($"momentum.{slot.Name}", slot.Mean));

    /// <summary>Changes the weights by their gradients; those without a gradient stay.</summary>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="gradientFactor">What the gradients, which stay as they are, count for.</param>
    public void Step(double learningRate, double gradientFactor = 1)
    {
        using var noGradients = no_grad();

        // One product of all matrices of a shape is several times as fast as a product of each.
        foreach (var group in _slots.Where(slot => slot.Weight.grad is not null).GroupBy(slot => slot.Shape))
        {
            using DisposeScope scope = NewDisposeScope();
            Slot[] slots = [.. group];
            Tensor[] steps = NewtonSchulz.Orthogonalize(stack([.. slots.Select(slot => slot.Advance(gradientFactor))])).unbind();

            // Orthogonal rows or columns of length 1 have the root mean square 1 / sqrt(longer side).
            double size = learningRate * RootMeanSquare * Math.Sqrt(Math.Max(group.Key.Rows, group.Key.Columns));
            using Scalar kept = (1 - learningRate * _weightDecay).ToScalar(), added = (-size).ToScalar();
            foreach (var (slot, step) in slots.Zip(steps))
                slot.Weight.mul_(kept).add_(step, added);
        }
    }

    public void Dispose()
    {
        foreach (Slot slot in _slots)
            slot.Mean.Dispose();
    }

    /// <param name="Name">The weight's name.</param>
    /// <param name="Weight">[rows, columns].</param>
    /// <param name="Mean">The moving mean of gradients, [rows, columns].</param>
    private sealed record Slot(string Name, Parameter Weight, Tensor Mean)
    {
        public (long Rows, long Columns) Shape { get; } = (Weight.shape[0], Weight.shape[1]);

        /// <summary>Moves the mean, and returns where it would go next if the gradient stayed the same: Nesterov's form.</summary>
        public Tensor Advance(double gradientFactor)
        {
            using Scalar kept = Momentum.ToScalar(), added = ((1 - Momentum) * gradientFactor).ToScalar();
            Mean.mul_(kept).add_(Weight.grad!, added);
            return Mean.mul(kept).add_(Weight.grad!, added);
        }
    }
}

/// <summary>Brings the singular values of matrices near 1, between 0.68 and 1.21, by products alone (Newton and Schulz's iteration with the
/// coefficients of Jordan 2024).</summary>
internal static class NewtonSchulz
{
    private const int Steps = 5;
    private const float A = 3.4445f;
    private const float B = -4.7750f;
    private const float C = 2.0315f;

    // Of a gradient of 0 the step is 0.
    private const double LeastNorm = 1e-12;

    /// <summary>Replaces each singular value s of a matrix, divided by the matrix's Frobenius norm, by p(p(...(s))), five times, with
    /// p(s) = A s + B s^3 + C s^5.</summary>
    /// <param name="x">[n, rows, columns], of single precision.</param>
    /// <returns>[n, rows, columns].</returns>
    /// <remarks>All steps are on the smaller of the products G = X X^T and X^T X: what X is multiplied by in the end are polynomials of G. Single
    /// precision is needed there: rounded to bfloat16, an eigenvalue of 0 may become negative, and each step then makes it ten times as
    /// large.</remarks>
    public static Tensor Orthogonalize(Tensor x)
    {
        using DisposeScope scope = NewDisposeScope();
        using Scalar least = LeastNorm.ToScalar();
        x = x.div(linalg.vector_norm(x, 2, [1, 2], keepdim: true).clamp_min(least));
        bool isTall = x.shape[1] > x.shape[2];
        Tensor transposed = x.transpose(1, 2);
        Tensor G = isTall ? transposed.matmul(x) : x.matmul(transposed);
        Tensor Q = eye(G.shape[1], G.shape[1], x.dtype, x.device).expand_as(G);
        for (int i = 0; i < Steps; i++)
        {
            // p's matrix is P = A I + R, and X's next product is P G P. All of these commute.
            using Tensor R = Combine(B, G, C, G, G);
            Q = Combine(A, Q, 1, R, Q);
            if (i == Steps - 1)
                break;
            using Tensor PG = Combine(A, G, 1, R, G);
            G = Combine(A, PG, 1, R, PG);
        }

        return (isTall ? x.matmul(Q) : Q.matmul(x)).MoveToOuterDisposeScope();
    }

    // beta z + alpha x y. In TorchSharp the first factor is the receiver, and not the summand as in PyTorch.
    private static Tensor Combine(float beta, Tensor z, float alpha, Tensor x, Tensor y) => x.baddbmm(y, z, beta, alpha);
}
