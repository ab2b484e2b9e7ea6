using System.ComponentModel.DataAnnotations;
using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace WebApi;

/// <summary>What a request and a client may ask for; the section <c>Limits</c> of the configuration.</summary>
internal sealed class Limits
{
    /// <summary>Gets the most texts that a request scores.</summary>
    [Range(1, int.MaxValue)]
    public int Texts { get; init; } = 64;

    /// <summary>Gets the greatest length of a prompt, and of a request's texts together, in UTF-16 units.</summary>
    [Range(1, int.MaxValue)]
    public int Characters { get; init; } = 20_000;

    /// <summary>Gets the most tokens that a request adds to its prompt.</summary>
    [Range(1, int.MaxValue)]
    public int NewTokens { get; init; } = 1_000;

    /// <summary>Gets the greatest size of a request's body.</summary>
    [Range(1, int.MaxValue)]
    public int BodyBytes { get; init; } = 200_000;

    /// <summary>Gets how fast a body must come, on average after its first five seconds.</summary>
    [Range(1, int.MaxValue)]
    public int BodyBytesPerSecond { get; init; } = 1_000;

    /// <summary>Gets how many requests compute at the same time. More than there are processors gain nothing.</summary>
    [Range(1, int.MaxValue)]
    public int ConcurrentRequests { get; init; } = Environment.ProcessorCount;

    /// <summary>Gets how many of them may be of one client.</summary>
    [Range(1, int.MaxValue)]
    public int ConcurrentRequestsPerClient { get; init; } = Math.Max(1, Environment.ProcessorCount / 2);

    /// <summary>Gets how many requests of all clients wait while others compute; those after them are turned away with status 503.</summary>
    [Range(0, int.MaxValue)]
    public int QueuedRequests { get; init; } = 64;

    /// <summary>Gets how many requests a client may have open, those that it still sends or that wait among them; those after them are
    /// turned away with status 429.</summary>
    [Range(1, int.MaxValue)]
    public int RequestsPerClient { get; init; } = 16;
}

/// <summary>How the limits are kept that are not of a body's content.</summary>
internal static class LimitsExtensions
{
    public static void AddLimits(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<Limits>().BindConfiguration(nameof(Limits)).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<Places>();
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<Limits>>((server, limits) =>
        {
            server.Limits.MaxRequestBodySize = limits.Value.BodyBytes;
            server.Limits.MinRequestBodyDataRate = new MinDataRate(limits.Value.BodyBytesPerSecond, TimeSpan.FromSeconds(5));
        });
        builder.Services.AddRateLimiter(options =>
        {
            options.OnRejected = async (context, _) => await context.HttpContext
                .TurnAway(StatusCodes.Status429TooManyRequests, "You have too many requests open.").ExecuteAsync(context.HttpContext);
            options.AddPolicy(nameof(Limits), context => RateLimitPartition.GetConcurrencyLimiter(context.Client(), _ => new()
            {
                PermitLimit = context.RequestServices.GetRequiredService<IOptions<Limits>>().Value.RequestsPerClient,
            }));
        });
    }

    /// <summary>Gets who asks. A network of IPv6 is one client: whoever has one address has all of its 2^64.</summary>
    public static IPAddress Client(this HttpContext context) => context.Connection.RemoteIpAddress switch
    {
        null => IPAddress.None,
        { IsIPv4MappedToIPv6: true } address => address.MapToIPv4(),
        { AddressFamily: AddressFamily.InterNetworkV6 } address => new IPAddress([.. address.GetAddressBytes()[..8], .. new byte[8]]),
        { } address => address,
    };

    public static IResult TurnAway(this HttpContext context, int statusCode, string reason)
    {
        context.Response.Headers.RetryAfter = "1";
        return TypedResults.Problem($"{reason} Try again later.", statusCode: statusCode);
    }
}

/// <summary>The places where requests compute. A request takes one when its body has been read and found good, so that a slow client
/// holds none, and gives it back when its answer has been sent.</summary>
internal sealed class Places(IOptions<Limits> limits) : IEndpointFilter, IAsyncDisposable
{
    // A client's requests wait for each other first, and only then in line with those of others: a client that sends many does not delay
    // others by more than its share.
    private readonly PartitionedRateLimiter<HttpContext> _places = PartitionedRateLimiter.CreateChained(
        PartitionedRateLimiter.Create<HttpContext, IPAddress>(context => RateLimitPartition.GetConcurrencyLimiter(context.Client(), _ => new()
        {
            PermitLimit = limits.Value.ConcurrentRequestsPerClient,
            QueueLimit = limits.Value.RequestsPerClient,
        })),
        PartitionedRateLimiter.Create<HttpContext, int>(_ => RateLimitPartition.GetConcurrencyLimiter(0, _ => new()
        {
            PermitLimit = limits.Value.ConcurrentRequests,
            QueueLimit = limits.Value.QueuedRequests,
        })));

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        HttpContext http = context.HttpContext;
        RateLimitLease place = await _places.AcquireAsync(http, cancellationToken: http.RequestAborted);
        http.Response.RegisterForDispose(place);
        return place.IsAcquired ? await next(context) : http.TurnAway(StatusCodes.Status503ServiceUnavailable, "All places are taken.");
    }

    public ValueTask DisposeAsync() => _places.DisposeAsync();
}
