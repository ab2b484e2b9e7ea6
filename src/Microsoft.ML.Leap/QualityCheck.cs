using System.Globalization;

namespace Microsoft.ML.Leap;

/// <summary>Tells whether a trained network is worth its training: better than counting tokens, and pairs of them.</summary>
internal static class QualityCheck
{
    // A run of fewer steps has hardly begun.
    private const long FewSteps = 300;

    /// <summary>Gives a warning about a network that counting beats; <see langword="null"/> where it does not.</summary>
    /// <param name="perplexity">The network's perplexity per token on some texts.</param>
    /// <param name="counted">What counted models make of the same texts.</param>
    /// <param name="history">How the training went.</param>
    /// <param name="recipe">Its settings.</param>
    /// <param name="vocabularySize">The number of token ids.</param>
    public static string? Warning(
        double perplexity, BaselineScore counted, TrainingHistory history, TrainingRecipe recipe, int vocabularySize)
    {
        TrainingRecord last = history.Records[^1];
        if (last.TrainingLoss > Math.Log(vocabularySize))
        {
            string loss = Text($"its loss at the end is {last.TrainingLoss:0.0} nats per token, where guessing has {Math.Log(vocabularySize):0.0}");
            return Text($"The training diverged: {loss}. Use a lower LearningRate than {recipe.LearningRate}.");
        }

        if (perplexity < counted.UnigramPerplexity && perplexity < counted.BigramPerplexity)
            return null;
        string rival = perplexity < counted.UnigramPerplexity
            ? Text($"a bigram model, which counts pairs of tokens ({counted.BigramPerplexity:0.0})")
            : Text($"a unigram model, which counts single tokens ({counted.UnigramPerplexity:0.0})");
        return Text($"The model's perplexity, {perplexity:0.0}, is no better than that of {rival}. {Remedy(history, recipe)}");
    }

    private static string Remedy(TrainingHistory history, TrainingRecipe recipe)
    {
        TrainingRecord last = history.Records[^1];
        if (last.Step < FewSteps)
            return Text($"It has trained for {last.Step} steps only: use more Epochs, or a smaller BatchSize than {recipe.BatchSize}.");
        if (history.Best is TrainingRecord best && best.Step <= last.Step / 2)
            return Text($"It was best after step {best.Step} of {last.Step} and has learned the texts by heart since: use more text, or more TargetSmoothing.");
        return recipe.LearningRate < 1e-3
            ? Text($"Use a higher LearningRate than {recipe.LearningRate}, or more Epochs.")
            : Text($"Use more text, or another LearningRate than {recipe.LearningRate}.");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
