using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Continues a prompt token by token, running the network over the whole context for each.</summary>
internal static class TextGenerator
{
    /// <summary>Gives the ids that follow a prompt, without the end-of-text id that may have stopped them.</summary>
    /// <remarks>The context starts at an end-of-text id, as documents did in training. When it is full, its last half is read anew from
    /// position 0.</remarks>
    public static List<int> Continue(
        LeapModel model, IReadOnlyList<int> promptIds, LeapTokenizer tokenizer, GenerationOptions options, int seed, CancellationToken cancellationToken)
    {
        using var noGradients = no_grad();
        var sampler = new TokenSampler(options.Temperature, options.TopK, seed);
        List<int> context = [tokenizer.EndOfTextId, .. promptIds];
        List<int> added = [];
        int start = 0;
        while (added.Count < options.MaximumNewTokens)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (context.Count - start > model.Config.ContextLength)
                start = context.Count - Math.Max(1, model.Config.ContextLength / 2);

            // A checkpoint's vocabulary may be padded beyond the tokenizer's ids.
            int id = sampler.Draw(NextLogits(model, context, start).AsSpan(0, tokenizer.VocabularySize));
            if (id == tokenizer.EndOfTextId)
                break;
            context.Add(id);
            added.Add(id);
        }

        return added;
    }

    private static float[] NextLogits(LeapModel model, List<int> context, int start)
    {
        using var scope = NewDisposeScope();
        long[] ids = [.. context.Skip(start).Select(id => (long)id)];
        Tensor hidden = model.Hidden(tensor(ids, [1, ids.Length], device: model.Device), null);
        return model.Logits(hidden[0, -1]).cpu().data<float>().ToArray();
    }
}
