using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Targets for little text: in part the token that came next, in part what a counted model of the same texts gives every token. The
/// network learns from both, and can learn the texts by heart only in part.</summary>
/// <remarks>Label smoothing (Szegedy et al. 2016, 1512.00567), towards the Kneser-Ney distribution instead of the uniform one; see Xie et al.
/// 2017, 1703.02573, on smoothing networks like n-grams, and Hinton et al. 2015, 1503.02531, on learning from another model.</remarks>
internal sealed class SmoothedTargets
{
    /// <summary>Values of targets that may be in memory at once: 64 MB of them.</summary>
    public const long MostValues = 1 << 24;

    private const int Order = 5;

    private readonly NGramModel _counts;
    private readonly int _endOfTextId;

    /// <summary>Counts a corpus, end-of-text tokens included: the network learns to predict them too.</summary>
    /// <param name="corpus">The training texts.</param>
    /// <param name="weight">The counted model's part of each target: over 0, below 1.</param>
    /// <param name="tokenizer">The texts' tokenizer.</param>
    public SmoothedTargets(TokenizedCorpus corpus, double weight, LeapTokenizer tokenizer)
    {
        Weight = weight;
        _endOfTextId = tokenizer.EndOfTextId;
        _counts = new NGramModel(Order, tokenizer.VocabularySize);
        foreach (int[] document in corpus.Documents)
            _counts.Add(document);
    }

    /// <summary>Gets the counted model's part of each target.</summary>
    public double Weight { get; }

    /// <summary>Returns the mean cross-entropy of the smoothed targets in nats per token: a scalar tensor that gradients flow through.</summary>
    /// <param name="model">The network.</param>
    /// <param name="inputs">Token ids, int64 [B, N].</param>
    /// <param name="targets">The tokens that came next, int64 [B, N]; none at the tail of shorter rows.</param>
    /// <param name="documents">Where documents begin that are packed into one sequence; null where each sequence is one.</param>
    public Tensor MeanLoss(LanguageModelNetwork model, Tensor inputs, Tensor targets, PackedDocuments? documents = null)
    {
        using Tensor hidden = LanguageModelLoss.Hidden(model, inputs, documents);
        using Tensor rows = hidden.flatten(0, 1);
        using Tensor flat = targets.flatten();
        using Tensor hasTarget = LinearCrossEntropy.HasTarget(flat);
        using Tensor places = hasTarget.nonzero();
        using Tensor indices = places.squeeze(1);
        using Tensor real = rows.index_select(0, indices);
        using Tensor logits = nn.functional.linear(real, model.HeadWeight, model.HeadBias);
        using Tensor logProbabilities = logits.log_softmax(1);
        using Tensor wanted = Smooth(inputs, targets, documents, indices.shape[0], logits.shape[1]);
        using Tensor products = wanted.mul(logProbabilities);
        using Tensor sums = products.sum(1);
        using Tensor mean = sums.mean();
        return mean.neg();
    }

    // [R, V]: one row per target, whose sum is 1. Ids of the network that the tokenizer does not have get nothing.
    private unsafe Tensor Smooth(Tensor inputs, Tensor targets, PackedDocuments? documents, long rowCount, long logitCount)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor wanted = zeros([rowCount, logitCount], ScalarType.Float32);
        float* values = RawMemory.Singles(wanted);
        int rowSize = (int)logitCount;
        int[] ids = [.. inputs.cpu().data<long>().Select(id => (int)id)];
        long[] next = targets.cpu().data<long>().ToArray();
        List<(int Start, int Length, long Row)> sequences = [];
        long row = 0;
        foreach ((int start, int length) in documents?.Documents ?? Enumerable.Range(0, (int)inputs.shape[0]).Select(i => (i * (int)inputs.shape[1], (int)inputs.shape[1])))
        {
            int count = next.AsSpan(start, length).IndexOf(LinearCrossEntropy.IgnoredTarget) is int end and >= 0 ? end : length;
            sequences.Add((start, count, row));
            row += count;
        }

        CpuWork.ForRanges(sequences.Count, partSize: 1, (first, _) =>
        {
            (int start, int count, long firstRow) = sequences[(int)first];
            var rows = new Span<float>(values + firstRow * rowSize, count * rowSize);
            _counts.Predict(ids.AsSpan(start, count), _endOfTextId, (float)Weight, rows, rowSize);
            for (int i = 0; i < count; i++)
                rows[i * rowSize + (int)next[start + i]] += (float)(1 - Weight);
        });
        return wanted.to(inputs.device).MoveToOuterDisposeScope();
    }
}
