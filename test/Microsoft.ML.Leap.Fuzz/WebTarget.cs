using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using WebApi;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The bodies of requests to samples/WebApi, over the loopback. A first line names the path, and the type of the content if there is one.</summary>
internal static class WebTarget
{
    private static readonly Lazy<HttpClient> _client = new(Start);
    private static readonly string[] _paths = ["/score", "/generate"];

    public static FuzzTarget Target { get; } =
        new("web", "a request to samples/WebApi: a line 'PATH TYPE', and its body", Post) { Mutations = 1000, Megabytes = 32 };

    private static void Post(byte[] input)
    {
        int lineEnd = Math.Max(0, Array.IndexOf(input, (byte)'\n'));
        string[] words = System.Text.Encoding.Latin1.GetString(input, 0, lineEnd).Split(' ', 2);
        using var content = new ByteArrayContent(input, Math.Min(lineEnd + 1, input.Length), Math.Max(0, input.Length - lineEnd - 1));
        if (words.Length == 2 && MediaTypeHeaderValue.TryParse(words[1], out MediaTypeHeaderValue? type))
            content.Headers.ContentType = type;
        using var request = new HttpRequestMessage(HttpMethod.Post, _paths.Contains(words[0]) ? words[0] : _paths[0]) { Content = content };
        using HttpResponseMessage response = _client.Value.Send(request);
        using Stream body = response.Content.ReadAsStream();
        using var answer = new MemoryStream();
        body.CopyTo(answer);
        bool isRefused = response.StatusCode is >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError;
        if (!isRefused && response.StatusCode != HttpStatusCode.OK)
            throw new FuzzFault($"The server answered with status {(int)response.StatusCode}: {System.Text.Encoding.UTF8.GetString(answer.ToArray())}");
        if (response.Content.Headers.ContentType?.MediaType is "application/json" or "application/problem+json")
            JsonDocument.Parse(answer.ToArray()).Dispose();
        if (isRefused)
            throw new FormatException($"status {(int)response.StatusCode}");
    }

    private static HttpClient Start()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("leap-fuzz-").FullName, "model.zip");
        File.WriteAllBytes(path, TrainingTargets.WriteZip());
        WebApplication application = Application.Create(
            [$"--Model:Path={path}", "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None", "--Limits:NewTokens=16"]);
        application.StartAsync().GetAwaiter().GetResult();
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        return new HttpClient { BaseAddress = new Uri(application.Urls.Single()) };
    }
}
