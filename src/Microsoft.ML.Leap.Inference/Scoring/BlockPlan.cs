namespace Microsoft.ML.Leap;

/// <summary>How streams of ids are cut into blocks.</summary>
internal sealed record BlockPlan
{
    /// <summary>Ids of a full block: one more than the network reads of it, at least 2.</summary>
    public required int Size { get; init; }

    /// <summary>Ids that each block starts after the one before: at least 1, at most <see cref="Size"/>.</summary>
    public required int Advance { get; init; }

    /// <summary>The id that is put before a stream; <see langword="null"/> for none.</summary>
    public required int? StartId { get; init; }

    public bool DropsRemainder { get; init; }

    public bool ShiftsLast { get; init; }

    /// <summary>Makes the plan of an evaluation, and checks that its options fit together and fit the model.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public static BlockPlan Create(EvaluationOptions options, int contextLength, int endOfTextId)
    {
        int length = options.BlockLength ?? contextLength;
        RequireFits(options, nameof(EvaluationOptions.BlockLength), length, contextLength, "the model's context length");
        RequireFits(options, nameof(EvaluationOptions.Stride), options.Stride ?? 1, length, "the block's length");
        Require(
            options,
            options.Stride is null || options.Mode == EvaluationMode.Strided,
            $"Stride is for the mode Strided, but the mode is {options.Mode}; leave it out.");
        Require(
            options,
            options.DocumentsPerStream is null || options.EndOfText != EndOfTextHandling.SeparateDocuments,
            "DocumentsPerStream joins documents, but EndOfText is SeparateDocuments; leave one of them out.");
        if (!options.PredictBlockStarts)
            RequireCanStandAlone(options, length);
        if (options.ShiftLastBlock)
            RequireCanShift(options);

        return new BlockPlan
        {
            Size = options.PredictBlockStarts ? length + 1 : length,
            Advance = options.Mode == EvaluationMode.Strided ? options.Stride ?? Math.Max(1, length / 2) : length,
            StartId = options.PredictBlockStarts ? endOfTextId : null,
            DropsRemainder = options.DropRemainder,
            ShiftsLast = options.ShiftLastBlock,
        };
    }

    private static void RequireCanStandAlone(EvaluationOptions options, int length)
    {
        Require(
            options,
            options.Mode == EvaluationMode.Disjoint,
            $"Blocks that share no borders are for the mode Disjoint, but the mode is {options.Mode}; set PredictBlockStarts.");
        Require(options, length >= 2, "Blocks that share no borders predict all but their first token, so BlockLength must be at least 2.");
    }

    private static void RequireCanShift(EvaluationOptions options)
    {
        Require(options, !options.DropRemainder, "DropRemainder leaves out the block that ShiftLastBlock shifts; set one of them.");
        Require(options, options.PredictBlockStarts, "ShiftLastBlock is for blocks that share borders; set PredictBlockStarts, or leave it out.");
        Require(options, options.Mode != EvaluationMode.Streaming, "ShiftLastBlock reads tokens twice, which the mode Streaming cannot; leave it out.");
    }

    private static void RequireFits(EvaluationOptions options, string name, int value, int limit, string limitName)
    {
        if (value > limit)
            throw new ArgumentOutOfRangeException(nameof(options), value, $"{name} must be at most {limitName}, {limit}, but it is {value}.");
    }

    private static void Require(EvaluationOptions options, bool condition, string message)
    {
        if (!condition)
            throw new ArgumentException(message, nameof(options));
    }
}
