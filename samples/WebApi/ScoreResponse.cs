namespace WebApi;

/// <summary>The answer of POST /score.</summary>
/// <param name="Scores">A score for each text, in their order.</param>
internal sealed record ScoreResponse(IReadOnlyList<TextScore> Scores);
