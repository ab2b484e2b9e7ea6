using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Reads one text in one pass and reports what the network focused on. Thread-safe.</summary>
internal static class FocusReader
{
    /// <summary>Explains a text, or a continuation of a prompt; the start and all tokens are read, so that each has its weights.</summary>
    /// <exception cref="ArgumentException">The text has more tokens than the network can read at once.</exception>
    public static FocusReport Explain(LeapModel model, LeapTokenizer tokenizer, string prompt, string text, string parameter)
    {
        List<int> ids = [tokenizer.EndOfTextId];
        tokenizer.Encode(prompt, ids);
        int promptCount = ids.Count - 1;
        tokenizer.Encode(text, ids);
        RequireFits(ids.Count - 1, model.Config.ContextLength, parameter);

        // With a prompt, what predicts the continuation: from the prompt's last token to the last but one.
        int firstLooking = prompt.Length == 0 ? 0 : promptCount;
        int lastLooking = prompt.Length == 0 || ids.Count - 1 == promptCount ? ids.Count - 1 : ids.Count - 2;
        (FocusLayer[] layers, double[] losses) = Read(model, [.. ids], firstLooking, lastLooking);
        (int Start, int Length)[] spans = [.. TokenSpans.Of(tokenizer, prompt, ids.GetRange(1, promptCount)),
            .. TokenSpans.Of(tokenizer, text, ids[(promptCount + 1)..]).Select(span => (prompt.Length + span.Start, span.Length))];
        FocusToken[] tokens = [.. ids.Select((id, i) => new FocusToken
        {
            Index = i,
            Id = id,
            Text = tokenizer.GetTokenText(id),
            Start = i == 0 ? 0 : spans[i - 1].Start,
            Length = i == 0 ? 0 : spans[i - 1].Length,
            LogLikelihood = i == 0 ? double.NaN : -losses[i - 1],
            IsContinuation = prompt.Length > 0 && i > promptCount,
        })];
        return new FocusReport(prompt + text, Array.AsReadOnly(tokens), layers, promptCount);
    }

    /// <summary>Runs the network over a sequence.</summary>
    /// <param name="model">The network.</param>
    /// <param name="ids">The sequence, the start included.</param>
    /// <param name="firstLooking">The first position that counts for the aggregates.</param>
    /// <param name="lastLooking">The last one.</param>
    /// <returns>The layers, and the loss of each token after the start in nats.</returns>
    public static (FocusLayer[] Layers, double[] Losses) Read(LeapModel model, int[] ids, int firstLooking, int lastLooking)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        using var capture = new FocusCapture();
        long[] longs = [.. ids.Select(id => (long)id)];
        Tensor hidden = model.Hidden(tensor(longs, [1, ids.Length], device: model.Device), null, capture).flatten(0, 1);
        double[] losses = TokenLosses.Of(model, hidden, [.. Enumerable.Range(0, ids.Length - 1).Select(i => (long)i)], longs[1..]);

        double[] looking = [.. ids.Select((_, i) => i >= firstLooking && i <= lastLooking ? 1.0 : 0.0)];
        Tensor positions = tensor(looking, [1, ids.Length, 1], device: model.Device);
        return ([.. capture.Layers.Select(layer => Layer(layer, positions))], losses);
    }

    private static FocusLayer Layer(LayerFocus layer, Tensor positions) => new(
        layer.Window, ByHead(layer.Weights), ByHead(layer.Gates), ByHead(FocusAggregate.Of(layer, positions)));

    // [1, N, H] to [H][N].
    private static float[][] ByHead(Tensor values)
    {
        using DisposeScope scope = NewDisposeScope();
        return [.. values[0].transpose(0, 1).unbind(0).Select(head => head.to(ScalarType.Float32).contiguous().cpu().data<float>().ToArray())];
    }

    private static void RequireFits(int tokenCount, int contextLength, string parameter)
    {
        if (tokenCount < contextLength)
            return;
        throw new ArgumentException(
            $"The text has {tokenCount} tokens, but this model can explain at most {contextLength - 1}: its context of {contextLength} " +
            "less the end-of-text start. Explain a part of the text, or train with a larger ContextLength.",
            parameter);
    }
}
