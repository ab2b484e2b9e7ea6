using System.CommandLine;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb <c>parity</c>: runs reference cases of the original network, or of one attention layer, and compares.</summary>
internal static class ParityCommand
{
    public static System.CommandLine.Command Create()
    {
        var files = new Argument<FileInfo[]>("files")
        {
            Description = "Reference cases: safetensors files, each with its .json beside it.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string?> device = ModelChoice.CreateDeviceOption();
        var command = new System.CommandLine.Command("parity", "Compare this network's numbers with reference cases.") { files, device };
        command.SetAction(arguments => Run(arguments.GetRequiredValue(files), DeviceChoice.Get(arguments.GetValue(device))));
        return command;
    }

    private static int Run(FileInfo[] files, Device device)
    {
        int failed = files.Count(file => !Passes(file, device));
        return failed == 0 ? 0 : 1;
    }

    /// <summary>Prints how far a case's numbers are from the reference's, and tells whether they are near enough.</summary>
    public static bool Passes(FileInfo file, Device device)
    {
        try
        {
            using var fixture = new ParityFixture(file);
            if (!fixture.IsNetwork)
                return Print(fixture.Name, AttentionParity.Check(fixture, device));
            (ParityResult engine, ParityResult torch) = NetworkParity.Check(fixture, device);
            return Print($"{fixture.Name} engine", engine) & Print($"{fixture.Name} torch", torch);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            Console.Error.WriteLine($"{Path.GetFileNameWithoutExtension(file.Name)}: {e.Message}");
            return false;
        }
    }

    private static bool Print(string name, ParityResult result)
    {
        Console.WriteLine($"{name} {result.Report} {(result.IsPass ? "PASS" : "FAIL")}");
        return result.IsPass;
    }
}

/// <summary>Compares the whole network, in evaluation mode, with a reference's logits and loss, by the engine and by torch; and torch's gradients
/// of the loss too.</summary>
internal static class NetworkParity
{
    private const double LogitsTolerance = 1e-4;
    private const double LossTolerance = 1e-4;
    private const double GradientTolerance = 1e-3;

    public static (ParityResult Engine, ParityResult Torch) Check(ParityFixture fixture, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        LeapConfig config = fixture.Config();
        Tensor ids = Ids(fixture, config);
        Tensor mask = fixture.Has("attention_mask") ? fixture.Get("attention_mask", ids.shape).ne(0) : ones_like(ids, ScalarType.Bool);
        Tensor expected = fixture.Get("logits", [.. ids.shape, config.VocabularySize]);
        using LeapModel model = Model(fixture, config, device);

        (Tensor engineLogits, double engineLoss) = RunEngine(model, ids, mask);
        Tensor logits = model.call(ids.to(device)).to(CPU);
        Tensor loss = Loss(logits, ids, mask);
        return (
            new ParityResult(
                ("logits-error", LogitsError(engineLogits), LogitsTolerance),
                ("loss-error", LossError(fixture, engineLoss), LossTolerance)),
            new ParityResult(
                ("logits-error", LogitsError(logits), LogitsTolerance),
                ("loss-error", LossError(fixture, loss.item<float>()), LossTolerance),
                ("gradient-error", GradientError(fixture, model, loss), GradientTolerance)));

        double LogitsError(Tensor actual) => Largest((actual - expected).masked_select(mask.unsqueeze(-1)));
    }

    // All rows in one batch: logits, [B, N, V], and the mean loss over real targets.
    private static unsafe (Tensor Logits, double Loss) RunEngine(LeapModel model, Tensor ids, Tensor mask)
    {
        using var network = new LeapNetwork(model.Config, model.GetWeights());
        int length = (int)ids.shape[1];
        int vocabulary = model.Config.VocabularySize;
        int[][] rows = [.. ids.data<long>().ToArray().Select(id => (int)id).Chunk(length)];
        bool[][] real = [.. mask.contiguous().data<bool>().ToArray().Chunk(length)];
        ReadOnlyMemory<int>[] sequences = [.. rows.Select(row => row.AsMemory())];
        ReadOnlyMemory<int>[] targets = [.. rows.Select((row, b) =>
            row.Select((_, i) => i + 1 < length && real[b][i + 1] ? row[i + 1] : -1).ToArray().AsMemory())];
        float[] logits = new float[(long)rows.Length * length * vocabulary];
        network.Forward(sequences, null, (sequence, first, count, hidden) =>
        {
            fixed (float* start = &logits[((long)sequence * length + first) * vocabulary])
                network.Logits(hidden, count, start);
        });
        double sum = 0;
        network.Predict(sequences, targets, null, (_, _, losses) =>
        {
            foreach (double loss in losses)
                sum += loss;
        });
        int targetCount = targets.Sum(row => row.ToArray().Count(id => id >= 0));
        return (tensor(logits, [rows.Length, length, vocabulary]), sum / targetCount);
    }

    private static Tensor Ids(ParityFixture fixture, LeapConfig config)
    {
        Tensor ids = fixture.Get("input_ids", -1, -1).to(ScalarType.Int64);
        if (ids.numel() == 0 || ids.shape[1] > config.ContextLength)
        {
            throw new FormatException(
                $"{fixture.Name}.safetensors: expected 1 to {config.ContextLength} ids per row (n_positions), " +
                $"but input_ids is [{string.Join(", ", ids.shape)}].");
        }

        if (ids.lt(0).logical_or(ids.ge(config.VocabularySize)).any().item<bool>())
            throw new FormatException($"{fixture.Name}.safetensors: input_ids must be from 0 to {config.VocabularySize - 1} (vocab_size).");
        return ids;
    }

    private static LeapModel Model(ParityFixture fixture, LeapConfig config, Device device)
    {
        // Before memory is taken for a network that the file cannot fill.
        fixture.Get("weight.word_embedding.weight", config.VocabularySize, config.HiddenSize);
        fixture.Get("weight.leap_model.position_embeddings.weight", config.ContextLength, config.HiddenSize);
        fixture.Get($"weight.leap_model.decoders.{config.LayerCount - 1}.pre_norm.weight", config.HiddenSize);
        var model = new LeapModel(config, device, seed: 0);
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

    private static double? LossError(ParityFixture fixture, double loss)
    {
        double? expected = fixture.NumberOrNull("loss_real_targets") ?? fixture.NumberOrNull("loss");
        return expected is null ? null : Math.Abs(loss - expected.Value);
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
            double difference = Largest(weight.grad!.cpu() - expected);
            worst = Math.Max(worst, difference == 0 ? 0 : difference / Largest(expected));
        }

        return worst;
    }

    private static double Largest(Tensor values) => values.numel() == 0 ? 0 : values.abs().max().to(ScalarType.Float64).item<double>();
}

/// <summary>Compares one attention layer, without dropout, with a reference's output.</summary>
internal static class AttentionParity
{
    private const double OutputTolerance = 1e-5;

    public static ParityResult Check(ParityFixture fixture, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        double rescale = fixture.Number("rescale_value");
        if (rescale is not (> 0 and <= LeapConfig.MaximumRescaleValue))
            throw new FormatException($"{fixture.Name}.json: 'rescale_value' must be over 0 and at most {LeapConfig.MaximumRescaleValue}.");

        using var noise = new DropoutNoise(seed: 0);
        Tensor projections = cat([.. new[] { "q", "f1", "f2", "v" }.Select(name => Part(fixture, name))], 2);
        int headCount = fixture.Integer("heads");
        int headSize = (int)projections.shape[2] / 4 / headCount;
        using var attention = new MultiheadLeap(headCount, headSize, fixture.Integer("window_size"), rescale, new Dropout(0, noise));
        Tensor actual = attention.call(projections.to(device)).to(CPU);

        double error = (actual - Part(fixture, "out")).abs().max().item<float>();
        return new ParityResult(("output-error", error, OutputTolerance));
    }

    // [batch, length, heads x head_size]
    private static Tensor Part(ParityFixture fixture, string name)
    {
        long[] shape = fixture.Get("q", -1, -1, (long)fixture.Integer("heads") * fixture.Integer("head_size")).shape;
        return fixture.Get(name, shape).to(ScalarType.Float32);
    }
}

/// <summary>What a comparison found: measured errors, each beside the largest that passes. A null error could not be measured.</summary>
internal sealed record ParityResult(params (string Name, double? Error, double Tolerance)[] Errors)
{
    // Written so that an error that is not a number fails.
    public bool IsPass => Errors.All(e => e.Error is null || e.Error <= e.Tolerance);

    public string Report => string.Join(' ', Errors.Select(e => $"{e.Name} {e.Error?.ToString("0.00e+00", CultureInfo.InvariantCulture) ?? "n/a"}"));
}
