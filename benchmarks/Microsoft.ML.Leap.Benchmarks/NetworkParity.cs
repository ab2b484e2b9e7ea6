using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Compares the whole network, in evaluation mode, with a reference's logits, loss and gradients of the loss.</summary>
internal static class NetworkParity
{
    private const double LogitsTolerance = 1e-4;
    private const double LossTolerance = 1e-4;
    private const double GradientTolerance = 1e-3;

    public static ParityResult Check(ParityFixture fixture)
    {
        using DisposeScope scope = NewDisposeScope();
        LeapConfig config = fixture.Config();
        Tensor ids = Ids(fixture, config);
        Tensor mask = fixture.Has("attention_mask") ? fixture.Get("attention_mask", ids.shape).ne(0) : ones_like(ids, ScalarType.Bool);
        Tensor expected = fixture.Get("logits", [.. ids.shape, config.VocabularySize]);
        using LeapModel model = Model(fixture, config);

        Tensor logits = model.call(ids, mask.all().item<bool>() ? null : mask);
        Tensor real = mask.unsqueeze(-1);
        double logitsError = Largest((logits - expected).masked_select(real));
        Tensor loss = Loss(logits, ids, mask);
        return new ParityResult(
            ("logits-error", logitsError, LogitsTolerance),
            ("loss-error", LossError(fixture, loss), LossTolerance),
            ("gradient-error", GradientError(fixture, model, loss), GradientTolerance));
    }

    private static Tensor Ids(ParityFixture fixture, LeapConfig config)
    {
        Tensor ids = fixture.Get("input_ids", -1, -1).to(ScalarType.Int64);
        if (ids.numel() == 0 || ids.shape[1] > config.ContextLength)
        {
            throw new FormatException(
                $"{fixture.Name}.safetensors: expected 1 to {config.ContextLength} ids a row (n_positions), " +
                $"but input_ids is [{string.Join(", ", ids.shape)}].");
        }

        if (ids.lt(0).logical_or(ids.ge(config.VocabularySize)).any().item<bool>())
            throw new FormatException($"{fixture.Name}.safetensors: input_ids must be from 0 to {config.VocabularySize - 1} (vocab_size).");
        return ids;
    }

    private static LeapModel Model(ParityFixture fixture, LeapConfig config)
    {
        // Before memory is taken for a network that the file cannot fill.
        fixture.Get("weight.word_embedding.weight", config.VocabularySize, config.HiddenSize);
        fixture.Get("weight.leap_model.position_embeddings.weight", config.ContextLength, config.HiddenSize);
        fixture.Get($"weight.leap_model.decoders.{config.LayerCount - 1}.pre_norm.weight", config.HiddenSize);
        var model = new LeapModel(config, CPU, seed: 0);
        try
        {
            CopyWeights(fixture, model);
        }
        catch
        {
            model.Dispose();
            throw;
        }

        model.eval();
        return model;
    }

    private static void CopyWeights(ParityFixture fixture, LeapModel model)
    {
        // The tied matrix may be there a second time, as the output layer's.
        string[] known = ["weight.proj_logits.weight", .. model.Weights.Select(w => "weight." + w.Name)];
        string? unknown = fixture.Names.FirstOrDefault(n => n.StartsWith("weight.", StringComparison.Ordinal) && !known.Contains(n));
        if (unknown is not null)
            throw new FormatException($"{fixture.Name}.safetensors: the network of this config has no '{unknown}'.");

        using IDisposable noGrad = no_grad();
        foreach (var (name, weight) in model.Weights)
            weight.copy_(fixture.Get("weight." + name, weight.shape));
    }

    // The mean over real targets: the ids shifted by one, without padding.
    private static Tensor Loss(Tensor logits, Tensor ids, Tensor mask)
    {
        long length = ids.shape[1] - 1;
        Tensor isTarget = mask.narrow(1, 1, length);
        Tensor predictions = logits.narrow(1, 0, length).masked_select(isTarget.unsqueeze(-1)).view(-1, logits.shape[2]);
        return nn.functional.cross_entropy(predictions, ids.narrow(1, 1, length).masked_select(isTarget));
    }

    private static double? LossError(ParityFixture fixture, Tensor loss)
    {
        double? expected = fixture.NumberOrNull("loss_real_targets") ?? fixture.NumberOrNull("loss");
        return expected is null ? null : Math.Abs(loss.item<float>() - expected.Value);
    }

    // For each weight the largest difference over the largest reference value, max |g - r| / max |r|; the worst of all weights.
    private static double? GradientError(ParityFixture fixture, LeapModel model, Tensor loss)
    {
        if (!fixture.Names.Any(name => name.StartsWith("grad.", StringComparison.Ordinal)))
            return null;

        loss.backward();
        double worst = 0;
        foreach (var (name, weight) in model.Weights)
        {
            Tensor expected = fixture.Get("grad." + name, weight.shape);
            double difference = Largest(weight.grad! - expected);
            worst = Math.Max(worst, difference == 0 ? 0 : difference / Largest(expected));
        }

        return worst;
    }

    private static double Largest(Tensor values) => values.numel() == 0 ? 0 : values.abs().max().to(ScalarType.Float64).item<double>();
}
