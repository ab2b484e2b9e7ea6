using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Makes a network's weights one with those of the other workers, after every round of steps.</summary>
/// <param name="exchange">Makes one of all workers' weights: takes the steps that are done, the tokens of this worker, and its weights, which become those of all; gives the steps
/// of the run that are done now.</param>
/// <param name="model">The network.</param>
/// <param name="steps">The steps of the run.</param>
internal sealed class WeightExchange(Func<long, long, float[], long> exchange, LanguageModelNetwork model, SharedSteps steps)
{
    /// <summary>Gets the steps of the run.</summary>
    public SharedSteps Steps { get; } = steps;

    /// <summary>Tells whether a round ends with a step.</summary>
    public bool IsDue(long step) => step % Steps.PerRound == 0;

    /// <summary>Exchanges the weights.</summary>
    /// <param name="step">The steps that are done.</param>
    /// <param name="tokens">The tokens that this network was trained on.</param>
    /// <returns>The steps of the run that are done now.</returns>
    public long Run(long step, long tokens)
    {
        float[] weights = Read(model);
        long done = exchange(step, tokens, weights);
        Write(model, weights);
        return done;
    }

    /// <summary>Copies all weights into one array, one tensor after another.</summary>
    public static float[] Read(LanguageModelNetwork model)
    {
        using DisposeScope scope = NewDisposeScope();
        float[] weights = new float[model.Weights.Sum(entry => entry.Weight.numel())];
        int start = 0;
        foreach ((_, Parameter weight) in model.Weights)
        {
            float[] values = weight.detach().cpu().contiguous().data<float>().ToArray();
            values.CopyTo(weights, start);
            start += values.Length;
        }

        return weights;
    }

    /// <summary>Puts back what <see cref="Read"/> gave, in which the values may be others.</summary>
    public static void Write(LanguageModelNetwork model, float[] weights)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        int start = 0;
        foreach ((_, Parameter weight) in model.Weights)
        {
            int count = (int)weight.numel();
            weight.copy_(tensor(weights[start..(start + count)], weight.shape));
            start += count;
        }
    }
}

/// <summary>The steps of workers that train together.</summary>
/// <param name="First">The steps that are done.</param>
/// <param name="Count">The steps of the run.</param>
/// <param name="PerRound">The steps after which weights become one; a divisor of the others.</param>
internal sealed record SharedSteps(int First, int Count, int PerRound);
