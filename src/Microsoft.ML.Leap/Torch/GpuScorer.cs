using Microsoft.ML.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Predicts by torch on a GPU, in batches of blocks of like length. Thread-safe; owns its network.</summary>
/// <param name="network">The network, on the GPU, in evaluation.</param>
/// <param name="tokensPerBatch">Tokens of a batch.</param>
internal sealed class GpuScorer(LanguageModelNetwork network, int tokensPerBatch) : IDisposable
{
    private readonly UseCount _uses = new(network.Dispose);
    private readonly WorkSharing _workers = new(threadCount: 0);

    public string DeviceName { get; } = network.Device.ToString();

    /// <summary>Puts a model's network on a GPU where one is asked for; only then torch is loaded.</summary>
    /// <param name="host">Its settings and messages.</param>
    /// <param name="parts">The model.</param>
    /// <param name="device">"cpu", "cuda" or "cuda:1"; null follows the context's GPU, if it names one.</param>
    /// <param name="tokensPerBatch">Tokens of a batch.</param>
    /// <returns>The scorer; null where the engine is to score.</returns>
    public static GpuScorer? CreateIfAskedFor(IHost host, ModelParts parts, string? device, int tokensPerBatch)
    {
        HostSettings wishes = HostSettings.Read(host);
        return string.Equals(device, "cpu", StringComparison.OrdinalIgnoreCase) || (device is null && wishes.GpuDeviceId is null)
            ? null
            : Create(host, wishes, parts, device, tokensPerBatch);
    }

    private static GpuScorer? Create(IHost host, HostSettings wishes, ModelParts parts, string? device, int tokensPerBatch)
    {
        using IChannel channel = host.Start("Loading");
        Device selected = DeviceSelector.Select(device, wishes.GpuDeviceId, wishes.FallbackToCpu, message => channel.Warning(default, message));
        if (selected.type == DeviceType.CPU)
            return null;
        var network = new LeapModel(parts.Config, selected, seed: 0);
        try
        {
            network.SetWeights(parts.Weights);
            network.eval();
            return new GpuScorer(network, tokensPerBatch);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="Leap.ComputeLosses"/>
    /// <exception cref="ObjectDisposedException">The scorer is disposed.</exception>
    public double[][] ComputeLosses(IReadOnlyList<EvaluationBlock> blocks, int? batchSize, ModelMemory? memory)
    {
        using UseCount.Use use = _uses.Begin(this);
        double[][] losses = new double[blocks.Count][];
        int[] order = [.. Enumerable.Range(0, blocks.Count).OrderByDescending(b => blocks[b].Length)];
        using var noGradients = no_grad();
        for (int start = 0; start < order.Length;)
        {
            int size = Math.Min(batchSize ?? Math.Max(1, tokensPerBatch / blocks[order[start]].Length), order.Length - start);
            ComputeBatch(blocks, order.AsSpan(start, size), memory, losses);
            start += size;
        }

        return losses;
    }

    /// <summary>Frees the network once the calls that still run have ended.</summary>
    public void Dispose() => _uses.Release();

    // Blocks are padded at their end, where nothing of them sees it.
    private void ComputeBatch(IReadOnlyList<EvaluationBlock> blocks, ReadOnlySpan<int> batch, ModelMemory? memory, double[][] losses)
    {
        int width = blocks[batch[0]].Length;
        long[] inputs = new long[batch.Length * width];
        List<long> places = [];
        List<long> targets = [];
        for (int row = 0; row < batch.Length; row++)
        {
            EvaluationBlock block = blocks[batch[row]];
            for (int i = 0; i < block.Length; i++)
            {
                inputs[row * width + i] = block.Ids[i];
                if (i < block.FirstScored)
                    continue;
                places.Add(row * width + i);
                targets.Add(block.Ids[i + 1]);
            }
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor hidden = network.Hidden(tensor(inputs, [batch.Length, width], device: network.Device)).flatten(0, 1);
        LogitMixing? mix = BlockLosses.Mix(memory, Array.ConvertAll(batch.ToArray(), b => blocks[b]), _workers);
        double[] all = TokenLosses.Compute(network, hidden, [.. places], [.. targets], mix);
        int next = 0;
        foreach (int b in batch)
        {
            int count = blocks[b].Length - blocks[b].FirstScored;
            losses[b] = all[next..(next + count)];
            next += count;
        }
    }
}

/// <summary>The loss of each token by a network, from what its output layer sees.</summary>
internal static class TokenLosses
{
    // Rows whose logits exist at once: enough for a fast product, and few enough for a cache where the vocabulary is not large.
    private const int HeadRows = 256;

    /// <summary>Gives the loss of each target in nats.</summary>
    /// <param name="model">The network.</param>
    /// <param name="hidden">What its output layer sees, [R, d].</param>
    /// <param name="places">The row of each target.</param>
    /// <param name="targets">The token ids, as many as <paramref name="places"/>.</param>
    /// <param name="mix">What is mixed into the targets' logits; null for nothing.</param>
    public static double[] Compute(LanguageModelNetwork model, Tensor hidden, long[] places, long[] targets, LogitMixing? mix)
    {
        double[] losses = new double[targets.Length];
        for (int start = 0; start < targets.Length; start += HeadRows)
        {
            int end = Math.Min(start + HeadRows, targets.Length);
            using DisposeScope scope = NewDisposeScope();
            Tensor rows = hidden.index_select(0, tensor(places[start..end], device: model.Device));
            Tensor logits = MatrixProduct.Multiply(rows, model.HeadWeight, null, usesBFloat16: false);
            Tensor bias = model.HeadBias;
            if (mix is not null)
            {
                logits = Mix(logits.Plus(bias), mix);
                bias = zeros_like(bias);
            }

            SoftmaxCrossEntropy.RowLosses(logits, bias, tensor(targets[start..end], device: model.Device)).CopyTo(losses, start);
        }

        return losses;
    }

    // The counts are in the memory of the machine.
    private static Tensor Mix(Tensor logits, LogitMixing mix)
    {
        int rows = (int)logits.shape[0];
        int size = (int)logits.shape[1];
        float[] factors = new float[rows];
        float[] added = new float[rows * size];
        mix(rows, size, factors, added);
        return tensor(added, [rows, size], device: logits.device).Add(logits.mul(tensor(factors, [rows, 1], device: logits.device)));
    }
}
