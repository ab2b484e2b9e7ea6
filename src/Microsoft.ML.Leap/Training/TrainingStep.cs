using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>One optimizer step: gradients of all its blocks, clipped, and the change of the weights.</summary>
internal sealed class TrainingStep : IDisposable
{
    private readonly LanguageModelNetwork _model;
    private readonly TokenBlocks _blocks;
    private readonly double _maximumGradientNorm;
    private readonly Parameter[] _weights;
    private readonly GradientThreads _threads;

    public TrainingStep(
        LanguageModelNetwork model, TokenBlocks blocks, TrainingOptions options)
    {
        _model = model;
        _blocks = blocks;
        _maximumGradientNorm = options.MaximumGradientNorm;
        model.TrainsInBFloat16 = options.Precision == TrainingPrecision.BFloat16;
        _weights = [.. model.Weights.Select(entry => entry.Weight)];
        _threads = new GradientThreads(model);
        Optimizer = new Optimizer(model.Weights, options);
    }

    public Optimizer Optimizer { get; }

    /// <summary>Takes the step, unless its loss or gradient is not finite.</summary>
    /// <param name="batches">The blocks, in the batches that go through the network at once.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="seed">Decides the dropout.</param>
    /// <remarks>The host waits for a GPU once, for two numbers between the gradients and the optimizer: a step that is not finite must leave
    /// the weights and the optimizer's state alone, and the skipped ones are counted.</remarks>
    public StepResult Run(ReadOnlySpan<TokenBlock[]> batches, double learningRate, long seed)
    {
        using var scope = NewDisposeScope();
        (Tensor computed, long tokens) = ComputeGradients(batches, seed);
        (double loss, double norm) = Read(computed);
        bool isFinite = double.IsFinite(loss) && double.IsFinite(norm);
        if (isFinite)
            Optimizer.Step(learningRate, norm > _maximumGradientNorm ? _maximumGradientNorm / norm : 1);
        NativeGarbage.Collect();
        return new StepResult(loss, norm, tokens, isFinite);
    }

    /// <summary>Computes the gradients. All tokens go to the device first; from then on it computes without the host's waiting.</summary>
    /// <param name="batches">The blocks, in the batches that go through the network at once.</param>
    /// <param name="seed">Decides the dropout.</param>
    /// <returns>The mean loss and the gradients' norm, double precision [2] on the network's device; and the predicted tokens.</returns>
    internal (Tensor LossAndNorm, long Tokens) ComputeGradients(ReadOnlySpan<TokenBlock[]> batches, long seed)
    {
        using var scope = NewDisposeScope();
        List<TokenBlock[]>[] shares = Divide(batches);
        long total = shares.Sum(share => share.Sum(CountTokens));
        Tensor losses = zeros([shares.Length], ScalarType.Float64, _model.Device);
        _threads.Run(shares.Length, (network, share) =>
        {
            using var scope = NewDisposeScope();
            network.SeedDropout(seed + share);
            Tensor loss = losses[share];
            foreach (Part part in shares[share].SelectMany(MakeParts).ToArray())
                Accumulate(network, part, total, loss);
        });
        return (stack([losses.sum(), GradientNorm().to(ScalarType.Float64)]).MoveToOuterDisposeScope(), total);
    }

    public void Dispose()
    {
        _threads.Dispose();
        Optimizer.Dispose();
    }

    private static long CountTokens(TokenBlock[] blocks) => blocks.Sum(block => (long)block.Length);

    // Into shares of about as many tokens: of each batch its longest blocks first, each to the share with the fewest tokens so far.
    private List<TokenBlock[]>[] Divide(ReadOnlySpan<TokenBlock[]> batches)
    {
        int count = Math.Min(_threads.CountShares(CountTokens(batches[0])), batches[0].Length);
        if (count == 1)
            return [[.. batches]];

        List<TokenBlock[]>[] shares = [.. Enumerable.Range(0, count).Select(_ => new List<TokenBlock[]>())];
        foreach (TokenBlock[] batch in batches)
        {
            List<TokenBlock>[] parts = [.. shares.Select(_ => new List<TokenBlock>())];
            long[] tokens = new long[count];
            foreach (TokenBlock block in batch.OrderByDescending(block => block.Length))
            {
                int lightest = Array.IndexOf(tokens, tokens.Min());
                parts[lightest].Add(block);
                tokens[lightest] += block.Length;
            }

            foreach (var (share, part) in shares.Zip(parts))
            {
                if (part.Count > 0)
                    share.Add([.. part]);
            }
        }

        return shares;
    }

    private static (double Loss, double Norm) Read(Tensor lossAndNorm)
    {
        double[] values = lossAndNorm.cpu().data<double>().ToArray();
        return (values[0], values[1]);
    }

    private IEnumerable<Part> MakeParts(TokenBlock[] batch)
    {
        if (_blocks.MayPack && _model.CanPack)
        {
            (Tensor inputs, Tensor targets, PackedDocuments documents) = _blocks.Pack(batch);
            return [new Part(inputs, targets, documents, documents.Starts.Length)];
        }

        return _blocks.Parts(batch).Select(blocks =>
        {
            (Tensor inputs, Tensor targets, int tokens) = _blocks.Batch(blocks, _model.Device);
            return new Part(inputs, targets, null, tokens);
        });
    }

    // Weighted by tokens: parts of unequal length add up to the mean over the whole step.
    private static void Accumulate(LanguageModelNetwork model, Part part, long total, Tensor sum)
    {
        using var scope = NewDisposeScope();
        double weight = (double)part.Tokens / total;
        Tensor loss = LanguageModelLoss.Mean(model, part.Inputs, part.Targets, part.Tokens, part.Documents);
        loss.Times(weight).backward();
        sum.Add(loss.detach().to(ScalarType.Float64).Multiply(weight));
    }

    /// <summary>Computes the Euclidean norm of all gradients, a scalar of single precision.</summary>
    internal Tensor GradientNorm()
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        Tensor norms = stack(_weights.Select(weight => weight.grad).OfType<Tensor>().Select(gradient => gradient.norm()));
        return norms.norm().MoveToOuterDisposeScope();
    }

    /// <summary>Tokens that go through the network at once.</summary>
    private sealed record Part(Tensor Inputs, Tensor Targets, PackedDocuments? Documents, long Tokens);
}

/// <summary>What an optimizer step came to.</summary>
/// <param name="Loss">The mean loss of its tokens before it, in nats.</param>
/// <param name="GradientNorm">The Euclidean norm of the gradient before clipping.</param>
/// <param name="Tokens">The predicted tokens.</param>
/// <param name="IsTaken">Whether the weights were changed: not when the loss or the norm is not finite.</param>
internal readonly record struct StepResult(double Loss, double GradientNorm, long Tokens, bool IsTaken);
