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
