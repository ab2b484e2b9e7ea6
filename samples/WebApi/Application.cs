using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

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
        builder.Services.AddSingleton(services => ModelFile.Open(
            builder.Configuration["Model:Path"],
            Path.Combine(builder.Environment.ContentRootPath, "documentation.leap.zip"),
            services.GetRequiredService<ILogger<LanguageModel>>()));
        builder.Services.AddHealthChecks().AddCheck<ModelHealthCheck>("model");
        AddJson(builder.Services);
        AddFaults(builder.Services);
        builder.AddLimits();

        WebApplication app = builder.Build();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.Use(RefuseOtherCharacterSets);
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

    // Faults of a request come back as problem details (RFC 9457) that name what was wrong, those of its JSON too, and are none of the
    // application: its log shows no error for them.
    private static void AddFaults(IServiceCollection services)
    {
        services.AddValidation();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.AddExceptionHandler(options =>
        {
            options.StatusCodeSelector =
                fault => fault is BadHttpRequestException badRequest ? badRequest.StatusCode : StatusCodes.Status500InternalServerError;
            options.SuppressDiagnosticsCallback = fault => fault.Exception is BadHttpRequestException;
        });
        services.AddProblemDetails(options => options.CustomizeProblemDetails = context =>
        {
            if (context.ProblemDetails is not HttpValidationProblemDetails)
                context.ProblemDetails.Detail ??= Reason(context);
        });
    }

    // The exceptions' own messages name types of .NET.
    private static string? Reason(ProblemDetailsContext context) => (context.Exception?.InnerException, context.ProblemDetails.Status) switch
    {
        (JsonException json, _) => "The body is no JSON that this call takes. The fault is at "
            + $"{Start(json.Path)}, line {json.LineNumber + 1}, byte {json.BytePositionInLine + 1}.",
        (_, StatusCodes.Status400BadRequest) => "The body must be a JSON object.",
        (_, StatusCodes.Status408RequestTimeout) => "The body came too slowly.",
        (_, StatusCodes.Status413PayloadTooLarge) =>
            $"The body may have at most {context.HttpContext.RequestServices.GetRequiredService<IOptions<Limits>>().Value.BodyBytes} bytes.",
        (_, StatusCodes.Status415UnsupportedMediaType) => "The content type must be application/json, in UTF-8.",
        _ => null,
    };

    // A path holds names that the client made up, of any length.
    private static string Start(string? path) => path is null ? "$" : path.Length <= 100 ? path : path[..100] + "...";

    // Another character set, or a quoted name of one, gives an exception of the framework without a status.
    private static Task RefuseOtherCharacterSets(HttpContext context, RequestDelegate next)
    {
        StringSegment charset = context.Request.GetTypedHeaders().ContentType?.Charset ?? "";
        return charset.Length == 0 || charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase)
            ? next(context)
            : throw new BadHttpRequestException("JSON is UTF-8.", StatusCodes.Status415UnsupportedMediaType);
    }
}
