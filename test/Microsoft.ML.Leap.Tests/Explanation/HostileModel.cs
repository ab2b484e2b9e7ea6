namespace Microsoft.ML.Leap.Tests;

/// <summary>A model that has pieces of HTML as tokens.</summary>
internal static class HostileModel
{
    private static readonly Lazy<LeapLanguageModelTransformer> LazyTransformer = new(() => TinyModel.Fit(TrainedModel.Context, options =>
    {
        options.Tokenizer = TokenizerOptions.Bytes(["<script>", "</script>", "<b>"]);
        options.ContextLength = 64;
        options.Epochs = 1;
    }));

    public static LeapLanguageModelTransformer Transformer => LazyTransformer.Value;

    public static void Free()
    {
        if (LazyTransformer.IsValueCreated)
            Transformer.Dispose();
    }
}
