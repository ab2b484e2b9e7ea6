namespace Microsoft.ML.Leap;

/// <summary>What happens where a text reaches past <see cref="LeapConfig.ContextLength"/>, where learned positions end.</summary>
public enum PositionPolicy
{
    /// <summary>An <see cref="InvalidOperationException"/> says so.</summary>
    Throw,

    /// <summary>The last half of the context is read anew from the first position on, each time that the context is full: a token then sees
    /// between half a context and a whole one. The cost a token stays constant on average.</summary>
    Restart,

    /// <summary>Each further token is read at the last position, and sees all that came before.</summary>
    Clamp,
}
