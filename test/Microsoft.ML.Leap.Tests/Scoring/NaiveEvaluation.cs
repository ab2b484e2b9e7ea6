namespace Microsoft.ML.Leap.Tests;

/// <summary>Evaluations by definition: one pass of the network a block, and the softmax in double.</summary>
internal static class NaiveEvaluation
{
    private static LeapTokenizer Tokenizer => TrainedModel.Transformer.Tokenizer;

    private static int EndOfText => Tokenizer.EndOfTextId;

    /// <summary>An end-of-text start, and the ids of a document.</summary>
    public static int[] Stream(string document) => [EndOfText, .. Tokenizer.Encode(document)];

    /// <summary>An end-of-text start, and each document with an end-of-text token after it.</summary>
    public static int[] Joined(IEnumerable<string> documents) =>
        [EndOfText, .. documents.Where(document => document.Length > 0).SelectMany(document => Tokenizer.Encode(document).Append(EndOfText))];

    /// <summary>The loss of each id after the first, each from the block [kN, kN + N) that predicts it.</summary>
    public static List<(int Position, int Id, double Loss)> Disjoint(int[] stream, int length)
    {
        List<(int, int, double)> losses = [];
        for (int start = 0; start < stream.Length - 1; start += length)
            losses.AddRange(Block(stream, start, Math.Min(length, stream.Length - 1 - start), 0));
        return losses;
    }

    /// <summary>The first block of a length scores all it predicts; each further one starts a stride later and scores what is new.</summary>
    public static List<(int Position, int Id, double Loss)> Strided(int[] stream, int length, int stride)
    {
        List<(int, int, double)> losses = [];
        int predicted = 1;
        for (int start = 0; predicted < stream.Length; start += stride)
        {
            int count = Math.Min(length, stream.Length - 1 - start);
            losses.AddRange(Block(stream, start, count, predicted - 1 - start));
            predicted = start + count + 1;
        }

        return losses;
    }

    /// <summary>lm-evaluation-harness: get_rolling_token_windows with a context_len of 1, index for index; each window is a pair of
    /// ids read and ids predicted at the end of what is read.</summary>
    public static List<(int Position, int Id, double Loss)> Rolling(string document, int maximumLength)
    {
        int[] tokens = [.. Tokenizer.Encode(document)];
        List<(int, int, double)> losses = [];
        int first = Math.Min(maximumLength, tokens.Length);
        if (first > 0)
            Window([EndOfText, .. tokens[..(first - 1)]], tokens[..first]);
        for (int predicted = first; predicted < tokens.Length;)
        {
            int count = Math.Min(tokens.Length - predicted, maximumLength);
            int end = predicted + count;
            Window(tokens[(end - maximumLength - 1)..(end - 1)], tokens[(end - count)..end]);
            predicted += count;
        }

        return losses;

        void Window(int[] read, int[] expected)
        {
            double[][] rows = TrainedModel.NaiveLogProbabilities(read);
            for (int i = 0; i < expected.Length; i++)
            {
                int position = read.Length - expected.Length + i;
                losses.Add((position, expected[i], -rows[position][expected[i]]));
            }
        }
    }

    /// <summary>Reads ids [start, start + count), and gives the loss of each that follows, from a position on.</summary>
    public static IEnumerable<(int Position, int Id, double Loss)> Block(int[] stream, int start, int count, int from)
    {
        double[][] rows = TrainedModel.NaiveLogProbabilities(stream[start..(start + count)]);
        return Enumerable.Range(from, count - from).Select(i => (i, stream[start + i + 1], -rows[i][stream[start + i + 1]]));
    }
}
