using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The bodies of requests to the server of Microsoft.ML.Leap.AspNetCore, over the loopback. A first line names the path, and the type of the content if there is one.</summary>
internal static class WebTarget
{
    private static readonly Lazy<HttpClient> _client = new(Start);
    private static readonly string[] _paths = ["/score", "/explain", "/v1/completions", "/v1/embeddings"];

    public static FuzzTarget Target { get; } =
        new("web", "a request to a server of a model: a line 'PATH TYPE', and its body", Post) { Mutations = 1000, Megabytes = 32 };

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
        if (response.Content.Headers.ContentType?.MediaType == "application/json")
            JsonDocument.Parse(answer.ToArray()).Dispose();
        if (isRefused)
            throw new FormatException($"status {(int)response.StatusCode}");
    }

    private static HttpClient Start()
    {
        // Lives as long as the process.
        var model = LeapLanguageModel.Load(new MemoryStream(TrainingTargets.WriteZip()));
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddLeap(model, options => options.NewTokens = 16);
        WebApplication application = builder.Build();
        application.MapLeap();
        application.StartAsync().GetAwaiter().GetResult();
        return new HttpClient { BaseAddress = new Uri(application.Urls.Single()) };
    }
}
