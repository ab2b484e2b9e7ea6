namespace Microsoft.ML.Leap.Notebooks;

/// <summary>What a cell showed: text of the console, whose <see cref="MimeType"/> is <see langword="null"/>, or a displayed value.</summary>
internal sealed record CellOutput(string? MimeType, string Text);
