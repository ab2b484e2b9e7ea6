namespace Microsoft.ML.Leap;

/// <summary>Why a continuation ended.</summary>
public enum GenerationFinishReason
{
    /// <summary>The model ended the text.</summary>
    EndOfText,

    /// <summary>One of <see cref="GenerationOptions.StopTokens"/> was drawn.</summary>
    StopToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> came up.</summary>
    StopString,

    /// <summary>There are <see cref="GenerationOptions.MaximumNewTokens"/> tokens.</summary>
    MaximumNewTokens,
}
