using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Microsoft.ML.Leap;

/// <summary>Server-sent events as OpenAI's clients read them: a JSON value each, and <c>[DONE]</c> at the end.</summary>
internal static class EventStream
{
    public const string ContentType = "text/event-stream";

    /// <summary>Sets the headers, as long as nothing was sent.</summary>
    public static void Begin(HttpResponse response)
    {
        if (response.HasStarted)
            return;
        response.ContentType = ContentType;
        response.Headers.CacheControl = "no-cache";

        // A proxy that gathers an answer would hide that it streams.
        response.Headers["X-Accel-Buffering"] = "no";
        response.HttpContext.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
    }

    public static async Task WriteAsync<T>(HttpResponse response, T value, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        response.BodyWriter.Write("data: "u8);
        using (var json = new Utf8JsonWriter(response.BodyWriter))
            JsonSerializer.Serialize(json, value, type);
        response.BodyWriter.Write("\n\n"u8);
        await FlushAsync(response, cancellationToken);
    }

    public static async Task EndAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        response.BodyWriter.Write("data: [DONE]\n\n"u8);
        await FlushAsync(response, cancellationToken);
    }

    // Kestrel ends a connection whose flush is cancelled. Only a client that does not read makes a flush wait: only that one's connection may end so.
    private static async Task FlushAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ValueTask<FlushResult> flush = response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted);
        if (flush.IsCompleted)
        {
            await flush;
            return;
        }

        try
        {
            await flush.AsTask().WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            response.HttpContext.Abort();
            throw;
        }
    }

    private static void Write(this PipeWriter writer, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(writer.GetSpan(bytes.Length));
        writer.Advance(bytes.Length);
    }
}

/// <summary>Several streams as one.</summary>
internal static class Merged
{
    /// <summary>Gives what each stream has, as soon as it has it. Where one fails, all end.</summary>
    public static async IAsyncEnumerable<T> ReadAsync<T>(
        IReadOnlyList<IAsyncEnumerable<T>> streams, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (streams.Count == 1)
        {
            await foreach (T item in streams[0].WithCancellation(cancellationToken))
                yield return item;
            yield break;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var channel = Channel.CreateBounded<T>(streams.Count);
        Task copied = Task.WhenAll(streams.Select(CopyAsync));
        Task ended = copied.ContinueWith(
            task => channel.Writer.TryComplete(task.Exception?.InnerException), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        try
        {
            await foreach (T item in channel.Reader.ReadAllAsync(cancellationToken))
                yield return item;
        }
        finally
        {
            // Whoever leaves early leaves no work behind.
            await stop.CancelAsync();
            await copied.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ended;
        }

        async Task CopyAsync(IAsyncEnumerable<T> stream)
        {
            try
            {
                await foreach (T item in stream.WithCancellation(stop.Token))
                    await channel.Writer.WriteAsync(item, stop.Token);
            }
            catch (Exception fault)
            {
                channel.Writer.TryComplete(fault);
                await stop.CancelAsync();
                throw;
            }
        }
    }
}
