using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.RateLimiting;

namespace WebApi;

/// <summary>The application, put together.</summary>
public static class Application
{
    /// <summary>Builds the application; it answers once it is started. Loads the model, or trains one on the first start without.</summary>
    /// <param name="args">Settings as <c>--Name=value</c>: <c>--Model:Path</c>, <c>--Limits:NewTokens</c> and the others of
    /// <see cref="Limits"/>, and those of ASP.NET Core, such as <c>--urls</c>.</param>
    public static WebApplication Create(string[] args)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
        builder.Services.AddOptions<Limits>().BindConfiguration(nameof(Limits)).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton(services => ModelFile.Open(
            builder.Configuration["Model:Path"],
            Path.Combine(builder.Environment.ContentRootPath, "documentation.leap.zip"),
            services.GetRequiredService<ILogger<LanguageModel>>()));
        builder.Services.AddHealthChecks().AddCheck<ModelHealthCheck>("model");
        AddJson(builder.Services);
        AddFaults(builder.Services);
        AddLimits(builder);

        WebApplication app = builder.Build();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.UseRateLimiter();
        app.MapHealthChecks("/health");
        app.MapLanguageModel();

        // Before the first request, not in it.
        _ = app.Services.GetRequiredService<LanguageModel>();
        return app;
    }

    private static void AddJson(IServiceCollection services) => services.ConfigureHttpJsonOptions(options =>
    {
        options.SerializerOptions.RespectNullableAnnotations = true;
        options.SerializerOptions.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        options.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.SerializerOptions.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase));
    });

    // Faults of a request come back as problem details (RFC 9457) that name what was wrong, those of its JSON too.
    private static void AddFaults(IServiceCollection services)
    {
        services.AddValidation();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.AddExceptionHandler(options => options.StatusCodeSelector =
            fault => fault is BadHttpRequestException badRequest ? badRequest.StatusCode : StatusCodes.Status500InternalServerError);
        services.AddProblemDetails(options => options.CustomizeProblemDetails = context =>
        {
            if (context.Exception is BadHttpRequestException badRequest)
                context.ProblemDetails.Detail = badRequest.InnerException?.Message ?? badRequest.Message;
        });
    }

    private static void AddLimits(WebApplicationBuilder builder)
    {
        Limits limits = builder.Configuration.GetSection(nameof(Limits)).Get<Limits>() ?? new Limits();
        builder.WebHost.ConfigureKestrel(server => server.Limits.MaxRequestBodySize = limits.BodyBytes);
        builder.Services.AddRateLimiter(options =>
        {
            options.OnRejected = async (context, _) => await TypedResults
                .Problem("All places are taken; try again later.", statusCode: StatusCodes.Status503ServiceUnavailable)
                .ExecuteAsync(context.HttpContext);
            options.AddPolicy(nameof(Limits), _ => RateLimitPartition.GetConcurrencyLimiter(0, _ => new ConcurrencyLimiterOptions
            {
                PermitLimit = limits.ConcurrentRequests,
                QueueLimit = limits.QueuedRequests,
            }));
        });
    }
}

/// <summary>What a request may ask for; the section <c>Limits</c> of the configuration.</summary>
internal sealed class Limits
{
    /// <summary>Gets the most texts that a request scores.</summary>
    [Range(1, int.MaxValue)]
    public int Texts { get; init; } = 64;

    /// <summary>Gets the greatest length of a text or prompt, in UTF-16 units.</summary>
    [Range(1, int.MaxValue)]
    public int Characters { get; init; } = 10_000;

    /// <summary>Gets the most tokens that a request adds to its prompt.</summary>
    [Range(1, int.MaxValue)]
    public int NewTokens { get; init; } = 1_000;

    /// <summary>Gets the greatest size of a request's body.</summary>
    [Range(1, int.MaxValue)]
    public int BodyBytes { get; init; } = 1_000_000;

    /// <summary>Gets how many requests compute at the same time. More than there are processors gain nothing.</summary>
    [Range(1, int.MaxValue)]
    public int ConcurrentRequests { get; init; } = Environment.ProcessorCount;

    /// <summary>Gets how many requests wait while others compute; those after them are turned away with status 503.</summary>
    [Range(0, int.MaxValue)]
    public int QueuedRequests { get; init; } = 64;
}
