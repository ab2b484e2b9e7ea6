using System.Reflection;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Net.Http.Headers;

namespace Microsoft.ML.Leap;

/// <summary>The page, whose files are resources of this assembly. It loads nothing from elsewhere, and its headers forbid it.</summary>
internal static class PageFiles
{
    private const string Folder = "Page/";
    private const string Start = "index.html";

    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Assembly assembly = typeof(PageFiles).Assembly;
        var types = new FileExtensionContentTypeProvider();
        foreach (string resource in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)))
        {
            string name = resource[Folder.Length..];
            string type = types.TryGetContentType(name, out string? known) ? known : "application/octet-stream";
            byte[] content = Read(assembly, resource);
            string tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 16))}\"";
            endpoints.MapMethods($"/{(name == Start ? "" : name)}", [HttpMethods.Get, HttpMethods.Head], http =>
            {
                if (name != Start || EndsWithSlash(http, out string folder))
                    return SendAsync(http, content, WithCharacterSet(type), tag);
                http.Response.Redirect(folder + http.Request.QueryString);
                return Task.CompletedTask;
            });
        }
    }

    // The page names its files beside itself, so a group's own path, such as /leap, must end with a slash. The way there is told from the path's last
    // segment alone: a proxy may have taken away what was before it.
    private static bool EndsWithSlash(HttpContext http, out string folder)
    {
        string path = http.Request.PathBase.ToUriComponent() + http.Request.Path.ToUriComponent();
        folder = $"./{path[(path.LastIndexOf('/') + 1)..]}/";
        return path.Length == 0 || path[^1] == '/';
    }

    private static async Task SendAsync(HttpContext http, byte[] content, string type, string tag)
    {
        IHeaderDictionary headers = http.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.ETag = tag;

        // A browser asks each time, and is told that nothing changed.
        headers.CacheControl = "no-cache";
        IList<EntityTagHeaderValue> held = http.Request.GetTypedHeaders().IfNoneMatch;
        if (held.Any(other => other.Tag == "*" || other.Tag == tag))
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        http.Response.ContentType = type;
        http.Response.ContentLength = content.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.Body.WriteAsync(content, http.RequestAborted);
    }

    private static string WithCharacterSet(string type) =>
        type.StartsWith("text/", StringComparison.Ordinal) || type.EndsWith("json", StringComparison.Ordinal) ? $"{type}; charset=utf-8" : type;

    private static byte[] Read(Assembly assembly, string resource)
    {
        using Stream stream = assembly.GetManifestResourceStream(resource)!;
        byte[] content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }
}
