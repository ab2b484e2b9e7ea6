namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The focused means that a recurrent state holds: the sums of its windows, divided.</summary>
internal static unsafe class StateMeans
{
    /// <summary>Writes a layer's focused means at the last token read.</summary>
    /// <param name="state">The state, after at least one token.</param>
    /// <param name="config">The network's shape.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="means">Where they go, [d].</param>
    public static void Write(RawRecurrentState state, LeapConfig config, int layer, Span<float> means)
    {
        SlidingSumsForm form = state.Form(layer);
        float[] row = new float[form.RowSize];
        using var sums = new SlidingSums<AnyRowSize>(form);
        for (int head = 0; head < config.HeadCount; head++)
        {
            sums.Continue(state.Layer(layer) + head * form.Bytes);
            fixed (float* pointer = row)
                sums.Write(1 / sums.Number, pointer);
            row.AsSpan(0, config.HeadSize).CopyTo(means[(head * config.HeadSize)..]);
        }

        GC.KeepAlive(state);
    }
}
