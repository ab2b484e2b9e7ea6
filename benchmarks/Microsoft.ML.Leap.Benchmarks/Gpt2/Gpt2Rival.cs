using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>GPT-2 in the recipe that LEAP was trained by: its tokens, rows, sizes, convolutions, optimizer, schedule, held-out rows and memory; all but
/// the attention.</summary>
internal static class Gpt2Rival
{
    private const int Seed = 1;
    private const int RunningMegabytes = 256;

    /// <summary>Trains GPT-2 for as long as LEAP's training took, at most for as many epochs, and scores held-out rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="leap">LEAP's model of the same rows.</param>
    public static Gpt2Result Measure(HeldOutRows rows, LeapLanguageModelTransformer leap)
    {
        TrainingRecipe recipe = leap.Recipe!;
        LeapTokenizer tokenizer = leap.Tokenizer;
        LeapLanguageModelTrainer.Options options = recipe.Fill(new LeapLanguageModelTrainer.Options
        {
            Seed = Seed,
            TimeBudget = leap.History.Records[^1].Elapsed,
            Progress = new ConsoleProgress().Report,
        });
        options.Precision = PrecisionSelector.Choose(options.Precision, CPU, recipe.HiddenSize);
        DocumentSplit? split = recipe.ValidationFraction > 0 ? new DocumentSplit(rows.Training.Length, recipe.ValidationFraction, Seed) : null;
        using TokenizedCorpus training = Encode(split?.Select(rows.Training, validation: false) ?? rows.Training);
        using TokenizedCorpus? validation = split is null ? null : Encode(split.Select(rows.Training, validation: true));

        // The scorer owns the network.
        var network = new Gpt2Model(options.MakeConfig(tokenizer.VocabularySize), CPU, Seed);
        using var scorer = new GpuScorer(network, options.ScoringTokensPerBatch);
        using var loop = new TrainingLoop(
            network, new DocumentBlocks(training, recipe.ContextLength), validation is null ? null : new DocumentBlocks(validation, recipe.ContextLength), options);
        loop.Run();
        network.eval();

        var learning = new MemoryLearning(
            training.Documents, tokenizer.VocabularySize, tokenizer.EndOfTextId, (long)(recipe.MemoryMegabytes * LeapLanguageModelTrainer.BytesPerMegabyte));
        learning.LearnExponents(LeapLanguageModelTrainer.ReadHeldOut(validation), block => MemoryLosses.ComputeLogits(network, block), recipe.ContextLength);
        learning.CountHeldOut([.. validation?.Documents ?? []]);
        ModelMemory memory = learning.Memory;
        TextScorer with = CreateScorer(memory);
        IReadOnlyList<int>[] heldOut = [.. rows.HeldOut.Select(tokenizer.Encode)];
        return new Gpt2Result(
            rows.GetBitsPerByte(with.Score(heldOut, new RunningMemory(memory, tokenizer, RunningMegabytes))), rows.GetBitsPerByte(with.Score(heldOut)),
            rows.GetBitsPerByte(CreateScorer(null).Score(heldOut)), loop.Elapsed.TotalSeconds);

        TokenizedCorpus Encode(IEnumerable<string> texts) =>
            TokenizedCorpus.Encode(texts.Select(text => text.AsMemory()), tokenizer, options.MaximumCorpusMemory, Path.GetTempPath());

        TextScorer CreateScorer(ModelMemory? memory) => new(scorer.ComputeLosses, memory, new WorkSharing(threadCount: 0), ReadingPlan.OfContext(recipe.ContextLength), tokenizer.EndOfTextId);
    }
}

/// <summary>What GPT-2 came to.</summary>
/// <param name="Reading">Bits per byte of the held-out rows, with the memory and a running one.</param>
/// <param name="Each">The same of each row by itself, with the memory.</param>
/// <param name="Alone">Of each row by itself, by the network alone.</param>
/// <param name="Seconds">Of the training.</param>
internal sealed record Gpt2Result(double Reading, double Each, double Alone, double Seconds);
