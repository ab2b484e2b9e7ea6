using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.ML.Leap;

/// <summary>What an endpoint's code works with.</summary>
/// <param name="Http">The request and its answer.</param>
/// <param name="Model">The model.</param>
/// <param name="Options">The server's options.</param>
/// <param name="Metrics">What to count in.</param>
/// <param name="Processors">What computes for many at the same time.</param>
/// <param name="Started">When the request came, by <see cref="Stopwatch.GetTimestamp"/>.</param>
/// <param name="Cancellation">Ends the work when the client goes away, or time is up.</param>
internal sealed record CallContext(
    HttpContext Http, LeapLanguageModel Model, LeapServerOptions Options, ServerMetrics Metrics, Processors Processors, long Started,
    CancellationToken Cancellation)
{
    /// <summary>Computes what takes long, as soon as there is a processor for it.</summary>
    public Task<T> ComputeAsync<T>(Func<T> compute) => Processors.RunAsync(compute, Cancellation);
}

/// <summary>Gives a body its meaning, or refuses it.</summary>
internal delegate TRequest ParseBody<TRequest>(JsonElement body, CallContext context);

/// <summary>What every request goes through: the key, the body, a place, the time, and errors that say what was wrong.</summary>
internal sealed partial class RequestPipeline(
    LeapLanguageModel model, IOptions<LeapServerOptions> options, ServerMetrics metrics, Places places, Processors processors,
    ILogger<RequestPipeline> log)
{
    private const string Bearer = "Bearer ";

    private static readonly TimeSpan TimeToTell = TimeSpan.FromSeconds(2);

    private readonly LeapServerOptions _options = options.Value;
    private readonly byte[]? _keyHash = options.Value.ApiKey is string key ? SHA256.HashData(Encoding.UTF8.GetBytes(key)) : null;

    /// <summary>Makes an endpoint that takes a body and computes. The request takes a place when its body has been read and found good: a slow client
    /// holds none.</summary>
    public RequestDelegate Compute<TRequest>(string route, ParseBody<TRequest> parse, Func<TRequest, CallContext, Task> answer) =>
        http => RunAsync(http, route, async context =>
        {
            using JsonDocument body = await RequestBody.ReadAsync(http.Request, _options.BodyBytes, context.Cancellation);
            TRequest request = parse(body.RootElement, context);
            using RateLimitLease place = await places.TakeAsync(context.Cancellation);
            await answer(request, context);
        });

    /// <summary>Makes an endpoint that tells what is known already.</summary>
    public RequestDelegate Tell(Func<CallContext, Task> answer) => http => RunAsync(http, null, answer);

    private async Task RunAsync(HttpContext http, string? route, Func<CallContext, Task> answer)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        end.CancelAfter(TimeSpan.FromSeconds(_options.SecondsPerRequest));
        var context = new CallContext(http, model, _options, metrics, processors, Stopwatch.GetTimestamp(), end.Token);
        if (route is not null)
            metrics.Begin();
        try
        {
            RequireKey(http.Request);
            await answer(context);
        }
        catch (Exception fault)
        {
            await RefuseAsync(http, fault);
        }
        finally
        {
            if (route is not null)
                metrics.End(route, http.Response.StatusCode, context.Started);
        }
    }

    private async Task RefuseAsync(HttpContext http, Exception fault)
    {
        // Nobody is there to read an answer.
        if (http.RequestAborted.IsCancellationRequested)
        {
            if (!http.Response.HasStarted)
                http.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            return;
        }

        ApiError error = ToError(fault);
        if (!http.Response.HasStarted)
        {
            http.Response.Clear();
            if (error.Status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
                http.Response.Headers.RetryAfter = "1";
            if (error.Status == StatusCodes.Status401Unauthorized)
                http.Response.Headers.WWWAuthenticate = "Bearer";
            await error.WriteAsync(http.Response, http.RequestAborted);
            return;
        }

        // The answer has begun, with a good status. An event can still tell; of any other answer the end is missing, which the client sees.
        if (http.Response.ContentType?.StartsWith(EventStream.ContentType, StringComparison.Ordinal) != true || !await TryTellAsync(http, error))
            http.Abort();
    }

    // A client that does not read must not keep the request.
    private static async Task<bool> TryTellAsync(HttpContext http, ApiError error)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        end.CancelAfter(TimeToTell);
        try
        {
            await EventStream.WriteAsync(http.Response, error.ToBody(), ServerJson.Default.ErrorBody, end.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private ApiError ToError(Exception fault)
    {
        switch (fault)
        {
            case ApiError error:
                return error;
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }:
                return RequestBody.TooLarge(_options.BodyBytes);
            case BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout }:
                return RequestBody.TooSlow();
            case BadHttpRequestException bad:
                return new ApiError(bad.StatusCode, "invalid_request_error", "The request breaks the rules of HTTP.");
            case OperationCanceledException:
                return new ApiError(
                    StatusCodes.Status503ServiceUnavailable, "server_error",
                    $"The request took longer than the {_options.SecondsPerRequest} seconds that it may. Ask for fewer tokens or texts, or try again later.", code: "timeout");
            case ObjectDisposedException:
                return new ApiError(StatusCodes.Status503ServiceUnavailable, "server_error", "The server is shutting down.");
            default:
                LogFault(log, fault);
                return new ApiError(StatusCodes.Status500InternalServerError, "server_error", "The server failed to answer; its log says why.");
        }
    }

    // Hashes are of one length: how long the comparison takes tells nothing of the key.
    private void RequireKey(HttpRequest request)
    {
        if (_keyHash is null)
            return;
        string given = request.Headers.Authorization.ToString();
        if (given.Length == 0)
            throw Unauthorized("No API key was given: send it as the header 'Authorization: Bearer KEY'.");
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(given.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? given[Bearer.Length..].Trim() : ""));
        if (!CryptographicOperations.FixedTimeEquals(hash, _keyHash))
            throw Unauthorized("The API key is wrong: it must be the one that the server was started with, sent as the header 'Authorization: Bearer KEY'.");
    }

    private static ApiError Unauthorized(string message) =>
        new(StatusCodes.Status401Unauthorized, "invalid_request_error", message, code: "invalid_api_key");

    [LoggerMessage(LogLevel.Error, "A request failed")]
    private static partial void LogFault(ILogger log, Exception fault);
}

/// <summary>Computes what takes long: prompts, scores, vectors. One processor stays free for the steps of texts that are under way, which
/// would otherwise wait behind every prompt that has come.</summary>
internal sealed class Processors : IDisposable
{
    private readonly SemaphoreSlim _free = new(Math.Max(1, Environment.ProcessorCount - 1));

    public async Task<T> RunAsync<T>(Func<T> compute, CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken);
        try
        {
            return await Task.Run(compute, cancellationToken);
        }
        finally
        {
            _free.Release();
        }
    }

    public void Dispose() => _free.Dispose();
}

/// <summary>The places where requests compute, and the queue before them.</summary>
internal sealed class Places(IOptions<LeapServerOptions> options, ServerMetrics metrics) : IDisposable
{
    private readonly ConcurrencyLimiter _limiter = new(new ConcurrencyLimiterOptions
    {
        PermitLimit = options.Value.ConcurrentRequests,
        QueueLimit = options.Value.QueueLength,
        QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    });

    /// <summary>Waits for a place; it is given back when what is returned is disposed.</summary>
    /// <exception cref="ApiError">The queue is full.</exception>
    public async Task<RateLimitLease> TakeAsync(CancellationToken cancellationToken)
    {
        ValueTask<RateLimitLease> taking = _limiter.AcquireAsync(cancellationToken: cancellationToken);
        RateLimitLease place;
        if (taking.IsCompleted)
        {
            place = await taking;
        }
        else
        {
            using (metrics.Queue())
                place = await taking;
        }

        if (place.IsAcquired)
            return place;
        place.Dispose();
        metrics.Refuse();
        throw new ApiError(
            StatusCodes.Status429TooManyRequests, "rate_limit_error", "Too many requests are under way and waiting. Try again later.", code: "rate_limit_exceeded");
    }

    public void Dispose() => _limiter.Dispose();
}
