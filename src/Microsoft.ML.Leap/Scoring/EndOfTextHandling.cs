namespace Microsoft.ML.Leap;

/// <summary>What end-of-text tokens do in an evaluation: whether they join documents to a stream, and whether they are predicted
/// themselves.</summary>
public enum EndOfTextHandling
{
    /// <summary>Each document is read for itself. Its first token is predicted from an end-of-text start, its end is not predicted, and no
    /// block reaches from one document into another.</summary>
    SeparateDocuments,

    /// <summary>Documents are joined to one stream as in training: an end-of-text start, then each document with an end-of-text token after
    /// it, or one after each of its lines where the tokenizer works so. Blocks reach over documents, and every token is predicted, the
    /// end-of-text tokens too.</summary>
    Scored,

    /// <summary>The stream of <see cref="Scored"/>. Its end-of-text tokens are read as context, but not predicted and not
    /// counted.</summary>
    NotScored,
}
