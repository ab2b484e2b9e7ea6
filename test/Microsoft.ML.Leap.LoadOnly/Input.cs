namespace LoadOnly;

internal sealed class Input
{
    public required string Text { get; init; }
}
