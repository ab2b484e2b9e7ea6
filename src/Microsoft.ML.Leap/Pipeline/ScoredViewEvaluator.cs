namespace Microsoft.ML.Leap;

/// <summary>Sums the scored columns of a view into metrics.</summary>
internal static class ScoredViewEvaluator
{
    /// <summary>Evaluates all rows with tokens; without a text column, words and bytes are unknown.</summary>
    /// <param name="scored">The view.</param>
    /// <param name="logLikelihoodColumn">Its column of log-likelihoods.</param>
    /// <param name="tokenCountColumn">Its column of token counts.</param>
    /// <param name="textColumn">Its column of texts, or null.</param>
    /// <param name="scoreByCounts">What counted models make of a text, or null.</param>
    public static LanguageModelMetrics Evaluate(
        IDataView scored, string logLikelihoodColumn, string tokenCountColumn, string? textColumn,
        Func<ReadOnlyMemory<char>, BaselineScore?>? scoreByCounts)
    {
        DataViewSchema schema = scored.Schema;
        List<DataViewSchema.Column> needed = [schema[logLikelihoodColumn], schema[tokenCountColumn]];
        if (textColumn is not null)
            needed.Add(schema[textColumn]);

        using DataViewRowCursor cursor = scored.GetRowCursor(needed);
        ValueGetter<float> getLogLikelihood = cursor.GetGetter<float>(needed[0]);
        ValueGetter<int> getTokenCount = cursor.GetGetter<int>(needed[1]);
        ValueGetter<ReadOnlyMemory<char>>? getText = textColumn is null ? null : cursor.GetGetter<ReadOnlyMemory<char>>(needed[2]);

        double logLikelihood = 0;
        BaselineScore? baseline = null;
        long tokens = 0, words = 0, bytes = 0, documents = 0;
        while (cursor.MoveNext())
        {
            int count = 0;
            getTokenCount(ref count);
            if (count == 0)
                continue;
            float value = 0;
            getLogLikelihood(ref value);
            logLikelihood += value;
            tokens += count;
            documents++;
            if (getText is null)
                continue;
            ReadOnlyMemory<char> text = default;
            getText(ref text);
            words += WordCounter.Count(text.Span, WordCountRule.Words);
            if (scoreByCounts?.Invoke(text) is BaselineScore score)
                baseline = (baseline ?? default) + score;
            bytes += System.Text.Encoding.UTF8.GetByteCount(text.Span);
        }

        return new LanguageModelMetrics(logLikelihood, tokens, words, bytes, documents, baseline: baseline);
    }
}
