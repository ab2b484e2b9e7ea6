using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>Uses what was read: a file that loads, and then fails in use, should have been refused.</summary>
internal static class Use
{
    private static readonly string[] _texts =
        ["The cat.", "naïve café ☕ 日本 e\u0301", "a\0b \ud800<|endoftext|><unk>\r\n\t\u2581x \ufb01\uffe7\u3000", new string('z', 100)];

    /// <summary>Encodes and decodes, saves the tokenizer, and loads it again.</summary>
    public static void Tokenizer(LeapTokenizer tokenizer)
    {
        var ids = new List<int>();
        foreach (string text in _texts)
        {
            ids.AddRange(tokenizer.Encode(text));
            tokenizer.EncodeDocument(text, ids);
        }

        foreach (int id in (int[])[.. ids, 0, tokenizer.VocabularySize - 1, tokenizer.EndOfTextId])
            tokenizer.GetTokenText(id);
        tokenizer.Decode(ids, skipEndOfText: false);

        var saved = new MemoryTarget();
        tokenizer.Save(saved.Write);
        try
        {
            LeapTokenizer again = LeapTokenizer.Load(new MemoryFiles(saved.Files).Open);
            if (again.VocabularySize != tokenizer.VocabularySize || !again.Encode(_texts[1]).SequenceEqual(tokenizer.Encode(_texts[1])))
                throw new FuzzFault("The tokenizer that was saved is another one.");
        }
        catch (FormatException e)
        {
            throw new FuzzFault($"The tokenizer saves what it refuses: {e.Message}", e);
        }
    }

    /// <summary>Scores, continues, explains and embeds.</summary>
    public static void Model(LeapLanguageModel model)
    {
        GC.KeepAlive($"{model} {model.SizeInBytes} {model.Config.ParameterCount}");
        foreach (string text in _texts)
            model.Score(text);
        model.ScoreTokens(_texts[1]);
        model.Embed(_texts[0]);
        if (model.Tokenizer.Encode(_texts[0]).Count < model.Config.ContextLength)
            GC.KeepAlive(model.Explain(_texts[0]).ToHtml());
        foreach (TextScore score in model.ScoreAll(_texts, model.CreateRunningMemory(1)))
            GC.KeepAlive(score);
        model.Evaluate(_texts);

        Continue(model);
    }

    /// <summary>Continues a text, and goes on from a state that was saved.</summary>
    public static void Continue(LeapLanguageModel model)
    {
        var options = new GenerationOptions { MaximumNewTokens = 3, Seed = 1, PositionPolicy = PositionPolicy.Restart };
        using GenerationState state = model.CreateGenerationState(_texts[1], PositionPolicy.Restart);
        State(model, state, options);
    }

    /// <summary>Continues a state, and saves it.</summary>
    public static void State(LeapLanguageModel model, GenerationState state, GenerationOptions options)
    {
        try
        {
            model.Continue(state, options);
        }
        catch (InvalidOperationException e) when (e.Message.StartsWith("The model's logits are not numbers", StringComparison.Ordinal)
            || e.Message.StartsWith("The text has ", StringComparison.Ordinal))
        {
            // Both are documented: finite weights can make infinite sums, and a state can be full.
            return;
        }

        // Nobody reads so much, and a state that says so was forged, can be loaded, and leads past what can be.
        if (state.TokenCount > 1L << 47)
            return;

        using var stream = new MemoryStream();
        state.Save(stream);
        stream.Position = 0;
        try
        {
            using GenerationState again = model.LoadGenerationState(stream);
            again.Read("a");
        }
        catch (FormatException e)
        {
            throw new FuzzFault($"The state saves what it refuses: {e.Message}", e);
        }
        catch (InvalidOperationException e) when (e.Message.StartsWith("The text has ", StringComparison.Ordinal))
        {
        }
    }

    /// <summary>Scores a view, and reads all columns.</summary>
    public static void Transformer(MLContext context, LeapLanguageModelTransformer transformer)
    {
        GC.KeepAlive($"{transformer} {transformer.History} {transformer.Recipe}");
        GC.KeepAlive(HistoryDisplay.Html(transformer.History));
        SchemaDefinition schema = SchemaDefinition.Create(typeof(TextRow));
        schema[nameof(TextRow.Text)].ColumnName = transformer.TextColumnName;
        IDataView scored = transformer.Transform(context.Data.LoadFromEnumerable(_texts.Select(text => new TextRow { Text = text }), schema));
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        try
        {
            while (cursor.MoveNext())
                ReadColumns(cursor);
        }
        catch (InvalidOperationException e) when (e.Message.StartsWith("The model's logits are not numbers", StringComparison.Ordinal)
            || e.Message.StartsWith("Every token is banned", StringComparison.Ordinal))
        {
            // Options that leave no token to choose are found when the tokens are known.
        }
    }

    private static void ReadColumns(DataViewRow row)
    {
        foreach (DataViewSchema.Column column in row.Schema)
        {
            switch (column.Type)
            {
                case TextDataViewType:
                    Read<ReadOnlyMemory<char>>(row, column);
                    break;
                case VectorDataViewType { ItemType: TextDataViewType }:
                    Read<VBuffer<ReadOnlyMemory<char>>>(row, column);
                    break;
                case VectorDataViewType:
                    Read<VBuffer<float>>(row, column);
                    break;
                case NumberDataViewType when column.Type.RawType == typeof(int):
                    Read<int>(row, column);
                    break;
                default:
                    Read<float>(row, column);
                    break;
            }
        }
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }

    private static void Read<T>(DataViewRow row, DataViewSchema.Column column)
    {
        T value = default!;
        row.GetGetter<T>(column)(ref value);
    }
}
