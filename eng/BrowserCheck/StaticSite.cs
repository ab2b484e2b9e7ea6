using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.Logging;

namespace BrowserCheck;

/// <summary>Files of folders on a free port of the loopback, as a static host serves them: compressed where a compressed file lies beside them.</summary>
public sealed class StaticSite : IAsyncDisposable
{
    private static readonly FileExtensionContentTypeProvider _types = new(
        new Dictionary<string, string>(new FileExtensionContentTypeProvider().Mappings) { [".dat"] = "application/octet-stream" });

    private readonly string[] _folders;
    private readonly WebApplication _application;
    private readonly Dictionary<string, long> _sent = new(StringComparer.Ordinal);

    private StaticSite(string[] folders)
    {
        _folders = folders;
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0));
        _application = builder.Build();
        _application.Run(SendAsync);
    }

    /// <summary>Gets the site's address.</summary>
    public string Address => _application.Urls.Single();

    /// <summary>Gets the bytes of the content that was sent for each path, as they were sent.</summary>
    public IReadOnlyDictionary<string, long> Sent
    {
        get
        {
            lock (_sent)
                return new Dictionary<string, long>(_sent);
        }
    }

    /// <summary>Begins to serve.</summary>
    /// <param name="folders">Where to look for a file, the first place that has it first.</param>
    public static async Task<StaticSite> StartAsync(params string[] folders)
    {
        var site = new StaticSite([.. folders.Select(Path.GetFullPath)]);
        await site._application.StartAsync();
        return site;
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task SendAsync(HttpContext http)
    {
        string path = http.Request.Path.Value is "/" or null ? "/index.html" : http.Request.Path.Value;
        if (Find(path) is not { } file)
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        http.Response.ContentType = _types.TryGetContentType(path, out string? type) ? type : "application/octet-stream";
        if (File.Exists(file + ".br") && http.Request.Headers.AcceptEncoding.ToString().Contains("br", StringComparison.Ordinal))
        {
            file += ".br";
            http.Response.Headers.ContentEncoding = "br";
        }

        var content = new FileInfo(file);
        http.Response.ContentLength = content.Length;
        lock (_sent)
            _sent[path] = content.Length;
        await http.Response.SendFileAsync(file, http.RequestAborted);
    }

    private string? Find(string path) => _folders
        .Select(folder => (Folder: folder, File: Path.GetFullPath(Path.Combine(folder, path.TrimStart('/')))))
        .Where(place => place.File.StartsWith(place.Folder + Path.DirectorySeparatorChar, StringComparison.Ordinal) && File.Exists(place.File))
        .Select(place => place.File)
        .FirstOrDefault();
}
