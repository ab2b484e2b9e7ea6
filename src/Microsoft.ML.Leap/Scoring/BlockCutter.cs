namespace Microsoft.ML.Leap;

/// <summary>Cuts streams of ids, of whatever length, into blocks, and holds two blocks at most.</summary>
internal sealed class BlockCutter(BlockPlan plan)
{
    private readonly int[] _ids = new int[plan.Size];
    private int[]? _previous;
    private int _count;

    // Ids at the start of the block that do not count: the first has nothing before it, others have been predicted by the block before.
    private int _kept = 1;

    /// <summary>Adds the stream's next id.</summary>
    /// <returns>The block that it filled, if any.</returns>
    public EvaluationBlock? Add(int id)
    {
        if (_count == 0 && _previous is null && plan.StartId is int start)
            _ids[_count++] = start;
        _ids[_count++] = id;
        return _count == plan.Size ? CutFull() : null;
    }

    /// <summary>Ends the stream; what is added from now on is another one.</summary>
    /// <returns>The stream's last block, if anything is left to score and not to be dropped.</returns>
    public EvaluationBlock? End()
    {
        EvaluationBlock? last = _count > _kept && !plan.DropsRemainder ? CutRemainder() : null;
        _previous = null;
        _count = 0;
        _kept = 1;
        return last;
    }

    private EvaluationBlock CutFull()
    {
        var block = new EvaluationBlock([.. _ids], _kept - 1, _previous is null);
        _ids.AsSpan(plan.Advance).CopyTo(_ids);
        _count = plan.Size - plan.Advance;
        _kept = Math.Max(1, _count);
        _previous = block.Ids;
        return block;
    }

    private EvaluationBlock CutRemainder()
    {
        ReadOnlySpan<int> rest = _ids.AsSpan(0, _count);
        if (_previous is null || !plan.ShiftsLast)
            return new EvaluationBlock([.. rest], _kept - 1, _previous is null);
        int missing = plan.Size - _count;
        return new EvaluationBlock([.. _previous.AsSpan(plan.Advance - missing, missing), .. rest], missing + _kept - 1, false);
    }
}
