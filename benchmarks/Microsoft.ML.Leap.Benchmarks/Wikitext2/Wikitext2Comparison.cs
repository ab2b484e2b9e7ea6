namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The protocol of the verb "wikitext2", for a notebook: LEAP and GPT-2 on the same texts, by the same trainer.</summary>
public static class Wikitext2Comparison
{
    /// <summary>Trains one of the two networks and measures its validation loss after each epoch.</summary>
    /// <param name="model">"leap" or "gpt2".</param>
    /// <param name="folder">The folder of wiki.train.tokens and wiki.valid.tokens, each plain or with .gz.</param>
    /// <param name="tokenizer">The tokenizer; what it learns, it learns from the training lines.</param>
    /// <param name="config">Makes the network's sizes for a vocabulary.</param>
    /// <param name="epochs">The epochs, from 1.</param>
    /// <param name="report">Called after each step, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="model"/> is neither.</exception>
    /// <exception cref="FileNotFoundException">A file of the folder is absent.</exception>
    /// <exception cref="InvalidOperationException">A file is too short.</exception>
    public static Wikitext2Report Train(
        string model,
        string folder,
        TokenizerOptions tokenizer,
        Func<int, LeapConfig> config,
        int epochs,
        Action<TrainingProgress>? report = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(epochs);
        if (model is not (ModelChoice.Leap or ModelChoice.Gpt2))
            throw new ArgumentException($"'{model}' is no network; expected {ModelChoice.Leap} or {ModelChoice.Gpt2}.", nameof(model));

        IEnumerable<string> lines = TextFile.ReadLines(Wikitext2Corpus.Find(folder, "train"));
        var settings = new Wikitext2Settings
        {
            Folder = folder,
            Tokenizer = tokenizer.Create(lines.Select(line => line.AsMemory()), CancellationToken.None),
            Model = model,
            Device = DeviceSelector.Select(null, null, fallbackToCpu: false, Console.WriteLine),
            Precision = TrainingPrecision.Auto,
            Epochs = epochs,
            Seed = 1,
            Config = config,
        };
        return Wikitext2Run.Run(settings, report);
    }
}
