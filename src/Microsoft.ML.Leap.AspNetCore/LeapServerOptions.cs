using System.Runtime.CompilerServices;

namespace Microsoft.ML.Leap;

/// <summary>What a server of a language model is called, whom it answers, and what a request may ask for.</summary>
public sealed class LeapServerOptions
{
    private string _modelName = "leap";
    private string? _apiKey;
    private int _bodyBytes = 4 << 20;
    private int _characters = 200_000;
    private int _texts = 128;
    private int _newTokens = 4096;
    private int _promptTokens = 65_536;
    private int _secondsPerRequest = 120;
    private int _concurrentRequests = 32;
    private int _queueLength = 64;

    /// <summary>Gets or sets the name that clients give as <c>model</c>.</summary>
    /// <value><c>leap</c> by default.</value>
    /// <exception cref="ArgumentException">The value is <see langword="null"/> or empty.</exception>
    public string ModelName
    {
        get => _modelName;
        set
        {
            ArgumentException.ThrowIfNullOrEmpty(value, nameof(ModelName));
            _modelName = value;
        }
    }

    /// <summary>Gets or sets the key that clients send as <c>Authorization: Bearer KEY</c>.</summary>
    /// <value><see langword="null"/>, the default, for a server that answers everybody. The page and <c>/health</c> need no key.</value>
    /// <exception cref="ArgumentException">The value is empty.</exception>
    public string? ApiKey
    {
        get => _apiKey;
        set
        {
            if (value is not null)
                ArgumentException.ThrowIfNullOrEmpty(value, nameof(ApiKey));
            _apiKey = value;
        }
    }

    /// <summary>Gets or sets the greatest size of a request's body, in bytes.</summary>
    /// <value>At least 1; 4 MiB by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int BodyBytes
    {
        get => _bodyBytes;
        set => _bodyBytes = AtLeast(1, value);
    }

    /// <summary>Gets or sets the greatest length of a request's texts together, in UTF-16 units.</summary>
    /// <value>At least 1; 200,000 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int Characters
    {
        get => _characters;
        set => _characters = AtLeast(1, value);
    }

    /// <summary>Gets or sets the most texts of a request: those that it scores or embeds, or the continuations that it asks for.</summary>
    /// <value>At least 1; 128 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int Texts
    {
        get => _texts;
        set => _texts = AtLeast(1, value);
    }

    /// <summary>Gets or sets the most tokens that are added to a text.</summary>
    /// <value>At least 1; 4096 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int NewTokens
    {
        get => _newTokens;
        set => _newTokens = AtLeast(1, value);
    }

    /// <summary>Gets or sets the most tokens of a request's texts together.</summary>
    /// <value>At least 1; 65,536 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int PromptTokens
    {
        get => _promptTokens;
        set => _promptTokens = AtLeast(1, value);
    }

    /// <summary>Gets or sets how long a request may take, its body and its wait for a place included.</summary>
    /// <value>At least 1 second; 120 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int SecondsPerRequest
    {
        get => _secondsPerRequest;
        set => _secondsPerRequest = AtLeast(1, value);
    }

    /// <summary>Gets or sets how many requests are worked on at the same time.</summary>
    /// <value>At least 1; 32 by default, as many as step together.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int ConcurrentRequests
    {
        get => _concurrentRequests;
        set => _concurrentRequests = AtLeast(1, value);
    }

    /// <summary>Gets or sets how many requests wait for a place; those after them are refused with status 429.</summary>
    /// <value>At least 0; 64 by default.</value>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int QueueLength
    {
        get => _queueLength;
        set => _queueLength = AtLeast(0, value);
    }

    private static int AtLeast(int least, int value, [CallerMemberName] string name = "") => value >= least
        ? value
        : throw new ArgumentOutOfRangeException(name, value, $"{name} must be at least {least}.");
}
