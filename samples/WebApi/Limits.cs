using System.ComponentModel.DataAnnotations;

namespace WebApi;

/// <summary>What a request may ask for; the section <c>Limits</c> of the configuration.</summary>
internal sealed class Limits
{
    /// <summary>Gets the most texts that a request scores.</summary>
    [Range(1, int.MaxValue)]
    public int Texts { get; init; } = 64;

    /// <summary>Gets the greatest length of a text or prompt, in UTF-16 units.</summary>
    [Range(1, int.MaxValue)]
    public int Characters { get; init; } = 10_000;

    /// <summary>Gets the most tokens that a request adds to its prompt.</summary>
    [Range(1, int.MaxValue)]
    public int NewTokens { get; init; } = 1_000;

    /// <summary>Gets the greatest size of a request's body.</summary>
    [Range(1, int.MaxValue)]
    public int BodyBytes { get; init; } = 1_000_000;

    /// <summary>Gets how many requests compute at the same time. More than there are processors gain nothing.</summary>
    [Range(1, int.MaxValue)]
    public int ConcurrentRequests { get; init; } = Environment.ProcessorCount;

    /// <summary>Gets how many requests wait while others compute; those after them are turned away with status 503.</summary>
    [Range(0, int.MaxValue)]
    public int QueuedRequests { get; init; } = 64;
}
