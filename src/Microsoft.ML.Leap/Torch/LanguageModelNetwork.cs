using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>What training and its loss need of a causal language model: token ids in, a logit for each possible next token out.</summary>
/// <remarks>It takes no attention mask: sequences are padded at their end alone, where nothing of them sees it. Not thread-safe while
/// training. Tensors that a call makes go to the caller's dispose scope.</remarks>
internal abstract class LanguageModelNetwork(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>Gets the network's shape.</summary>
    public abstract LeapConfig Config { get; }

    /// <summary>Gets every weight once, under its checkpoint's name.</summary>
    public abstract IReadOnlyList<(string Name, Parameter Weight)> Weights { get; }

    /// <summary>Gets the output layer's matrix, [V, d].</summary>
    public abstract Parameter HeadWeight { get; }

    /// <summary>Gets the output layer's bias, [V].</summary>
    public abstract Parameter HeadBias { get; }

    /// <summary>Gets or sets whether matrix products are in bfloat16 while training; in evaluation none is.</summary>
    public bool TrainsInBFloat16
    {
        get;
        set
        {
            field = value;
            foreach (Linear linear in modules().OfType<Linear>())
                linear.TrainsInBFloat16 = value;
        }
    }

    /// <summary>Gets where the weights live.</summary>
    public Device Device => Weights[0].Weight.device;

    /// <summary>Computes the logits of the next token at each place.</summary>
    /// <param name="inputIds">Token ids, int64 [B, N], N at most the context length.</param>
    /// <returns>[B, N, V].</returns>
    public override Tensor forward(Tensor inputIds) => Logits(Hidden(inputIds));

    /// <summary>Computes what the output layer sees: [B, N, d].</summary>
    /// <inheritdoc cref="forward"/>
    public abstract Tensor Hidden(Tensor inputIds);

    /// <summary>Gets whether <see cref="HiddenOfPacked"/> can be called.</summary>
    public virtual bool CanPack => false;

    /// <summary>Computes what the output layer sees of documents that are packed into one sequence.</summary>
    /// <param name="inputIds">Token ids, int64 [1, N], of any length; no document is longer than the context.</param>
    /// <param name="documents">Where the documents begin.</param>
    /// <returns>[1, N, d].</returns>
    public virtual Tensor HiddenOfPacked(Tensor inputIds, PackedDocuments documents) =>
        throw new NotSupportedException($"{GetType().Name} computes no packed documents.");

    /// <summary>Computes logits, [..., V], from hidden vectors, [..., d].</summary>
    public abstract Tensor Logits(Tensor hidden);

    /// <summary>Starts the random numbers of all dropout layers anew.</summary>
    public abstract void SeedDropout(long seed);

    /// <summary>Makes a second network of the same weights, in the same memory, so that another thread can compute gradients of its own.</summary>
    public LanguageModelNetwork CreateTwin()
    {
        using var noGradients = no_grad();
        LanguageModelNetwork twin = CreateLike();
        foreach (var (mine, its) in Weights.Zip(twin.Weights))
            its.Weight.set_(mine.Weight);
        twin.TrainsInBFloat16 = TrainsInBFloat16;
        twin.train(training);
        return twin;
    }

    /// <summary>Makes a network of the same shape, with weights of its own.</summary>
    protected abstract LanguageModelNetwork CreateLike();
}

/// <summary>Documents that stand one after another in one sequence, so that nothing is padded; none sees the one before it.</summary>
/// <param name="Starts">True where a document begins, for each token of the sequence.</param>
/// <param name="Longest">Tokens of the longest document.</param>
internal sealed record PackedDocuments(bool[] Starts, int Longest)
{
    /// <summary>Packs documents of the given lengths.</summary>
    public static PackedDocuments Create(IReadOnlyList<int> lengths)
    {
        bool[] starts = new bool[lengths.Sum()];
        int start = 0;
        foreach (int length in lengths)
        {
            starts[start] = true;
            start += length;
        }

        return new PackedDocuments(starts, lengths.Max());
    }

    /// <summary>Gets the documents' first tokens and lengths.</summary>
    public IEnumerable<(int Start, int Length)> Documents
    {
        get
        {
            int start = 0;
            for (int i = 1; i <= Starts.Length; i++)
            {
                if (i < Starts.Length && !Starts[i])
                    continue;
                yield return (start, i - start);
                start = i;
            }
        }
    }
}
