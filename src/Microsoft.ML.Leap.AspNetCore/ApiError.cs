using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Microsoft.ML.Leap;

/// <summary>A request that is refused, in OpenAI's shape: what was wrong, and with which member of the body.</summary>
/// <param name="status">The status of the answer.</param>
/// <param name="type">The kind of fault, by one of OpenAI's names.</param>
/// <param name="message">What was wrong.</param>
/// <param name="param">The member of the body that was wrong; null where it was none.</param>
/// <param name="code">A name for the fault alone, for programs.</param>
internal sealed class ApiError(int status, string type, string message, string? param = null, string? code = null) : Exception(message)
{
    // A member's name, or a value, may be of any length.
    private const int MostRepeated = 60;

    public int Status => status;

    public string? Param => param;

    public string? Code => code;

    /// <summary>A value that the endpoint does not take.</summary>
    public static ApiError Invalid(string param, string message) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", $"{param} {message}", param);

    public static ApiError NotFound(string message, string? param = null, string? code = null) =>
        new(StatusCodes.Status404NotFound, "invalid_request_error", message, param, code);

    /// <summary>Cuts what a client made up.</summary>
    public static string Shorten(string text) => text.Length <= MostRepeated ? text : text[..MostRepeated] + "...";

    /// <summary>Sends the error as the whole answer.</summary>
    public async Task WriteAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        response.StatusCode = status;
        await response.WriteJsonAsync(ToBody(), ServerJson.Default.ErrorBody, cancellationToken);
    }

    public ErrorBody ToBody() => new(new ErrorDetails(Message, type, param, code));
}

internal sealed record ErrorBody(ErrorDetails Error);

internal sealed record ErrorDetails(
    string Message,
    string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);

internal static class ResponseExtensions
{
    public static async Task WriteJsonAsync<T>(
        this HttpResponse response, T value, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        response.ContentType = "application/json; charset=utf-8";
        await JsonSerializer.SerializeAsync(response.Body, value, type, cancellationToken);
    }
}
