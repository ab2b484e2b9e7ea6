using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Microsoft.ML.Leap;

/// <summary>Reads a request's body, a JSON object in UTF-8.</summary>
internal static class RequestBody
{
    // Nothing that a client sends is nested deeper.
    private static readonly JsonDocumentOptions Json = new() { MaxDepth = 16 };

    public static async Task<JsonDocument> ReadAsync(HttpRequest request, int mostBytes, CancellationToken cancellationToken)
    {
        RequireJson(request);
        if (request.ContentLength > mostBytes)
            throw TooLarge(mostBytes);
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = mostBytes;
        try
        {
            byte[] body = await ReadBytesAsync(request.BodyReader, mostBytes, cancellationToken);
            JsonDocument document = JsonDocument.Parse(body, Json);
            RequireNames(body);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            document.Dispose();
            throw new ApiError(StatusCodes.Status400BadRequest, "invalid_request_error", "The body must be a JSON object.");
        }
        catch (OperationCanceledException) when (!request.HttpContext.RequestAborted.IsCancellationRequested)
        {
            throw TooSlow();
        }
        catch (JsonException fault)
        {
            throw new ApiError(
                StatusCodes.Status400BadRequest, "invalid_request_error",
                $"The body is no JSON: the fault is at line {fault.LineNumber + 1}, byte {fault.BytePositionInLine + 1}.");
        }
    }

    // A name that holds half a character would throw wherever it is compared.
    private static void RequireNames(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = Json.MaxDepth });
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                    reader.GetString();
            }
        }
        catch (InvalidOperationException)
        {
            throw new ApiError(
                StatusCodes.Status400BadRequest, "invalid_request_error",
                $"The body is no JSON: the name at byte {reader.TokenStartIndex + 1} holds bytes or an escape that are no whole character.");
        }
    }

    public static ApiError TooLarge(int mostBytes) =>
        new(StatusCodes.Status413PayloadTooLarge, "invalid_request_error", $"The body may have at most {mostBytes} bytes.");

    public static ApiError TooSlow() => new(StatusCodes.Status408RequestTimeout, "invalid_request_error", "The body came too slowly.");

    private static async Task<byte[]> ReadBytesAsync(PipeReader reader, int mostBytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult read = await reader.ReadAsync(cancellationToken);
            bool isTooLarge = read.Buffer.Length > mostBytes;
            byte[] body = read.IsCompleted && !isTooLarge ? read.Buffer.ToArray() : [];
            reader.AdvanceTo(read.IsCompleted || isTooLarge ? read.Buffer.End : read.Buffer.Start, read.Buffer.End);
            if (isTooLarge)
                throw TooLarge(mostBytes);
            if (read.IsCompleted)
                return body;
        }
    }

    // A page of another site can send other types without being asked for, and not this one.
    private static void RequireJson(HttpRequest request)
    {
        bool isJson = MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type)
            && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            && (type.Charset.Length == 0 || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase));
        if (!isJson)
        {
            throw new ApiError(
                StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", "The content type must be application/json, in UTF-8.");
        }
    }
}
