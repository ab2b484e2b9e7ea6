namespace Microsoft.ML.Leap;

/// <summary>How the rows of a text column are laid out for training.</summary>
public enum TrainingLayout
{
    /// <summary>Each row is read by itself, from an end-of-text start, exactly as it is scored. Rows of like length share a batch, and a row
    /// longer than the context is cut at places that are drawn anew each epoch.</summary>
    Rows,

    /// <summary>Rows are joined to one stream with an end-of-text token between them, and the stream is cut into blocks of the context's
    /// length that stay the same in all epochs: the original's form. A row may be read after the end of the one before it.</summary>
    Stream,
}
