using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.ML.Leap;

/// <summary>Serves a language model from an ASP.NET Core application.</summary>
/// <example><code>var builder = WebApplication.CreateBuilder(args);
/// builder.Services.AddLeap(model);
/// WebApplication app = builder.Build();
/// app.MapLeap();
/// app.Run();</code></example>
public static class LeapServerExtensions
{
    private const string AnyPath = "/v1/{**path}";

    /// <summary>Adds a model to serve.</summary>
    /// <param name="services">The application's services.</param>
    /// <param name="model">The model. It stays the caller's, who disposes it after the application has stopped.</param>
    /// <param name="configure">Sets options; <see langword="null"/> for the defaults.</param>
    /// <returns><paramref name="services"/>.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="services"/> or <paramref name="model"/> is <see langword="null"/>.</exception>
    public static IServiceCollection AddLeap(
        this IServiceCollection services, LeapLanguageModel model, Action<LeapServerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(model);
        services.AddRouting();
        services.AddMetrics();
        services.AddOptions<LeapServerOptions>().Configure(configure ?? (_ => { }));
        services.AddSingleton(model);
        services.AddSingleton<ServerMetrics>();
        services.AddSingleton<Places>();
        services.AddSingleton<Processors>();
        services.AddSingleton<RequestPipeline>();
        return services;
    }

    /// <summary>Maps the model's endpoints: OpenAI's <c>/v1/completions</c>, <c>/v1/embeddings</c> and <c>/v1/models</c>, then <c>/score</c>,
    /// <c>/explain</c>, <c>/info</c>, <c>/health</c>, and a page at <c>/</c>.</summary>
    /// <param name="endpoints">The application, or a group of its endpoints.</param>
    /// <returns>What further conventions can be added to.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="endpoints"/> is <see langword="null"/>.</exception>
    /// <exception cref="InvalidOperationException"><see cref="AddLeap"/> was not called.</exception>
    public static IEndpointConventionBuilder MapLeap(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        RequestPipeline pipeline = endpoints.ServiceProvider.GetService<RequestPipeline>()
            ?? throw new InvalidOperationException("There is no model to serve: call services.AddLeap(model) before MapLeap().");
        RouteGroupBuilder group = endpoints.MapGroup("");
        group.MapPost("/v1/completions", pipeline.Compute("/v1/completions", CompletionRequest.Parse, Completions.AnswerAsync));
        group.MapPost("/v1/embeddings", pipeline.Compute("/v1/embeddings", EmbeddingRequest.Parse, Embeddings.AnswerAsync));
        group.MapPost("/score", pipeline.Compute("/score", ScoreRequest.Parse, Scores.AnswerAsync));
        group.MapPost("/explain", pipeline.Compute("/explain", ExplainRequest.Parse, Explanations.AnswerAsync));
        group.MapGet("/v1/models", pipeline.Tell(Models.ListAsync));
        group.MapGet("/v1/models/{**id}", pipeline.Tell(Models.GetAsync));
        group.MapGet("/info", pipeline.Tell(Models.InfoAsync));
        group.MapGet("/health", Health.AnswerAsync);

        // A client of OpenAI's API reads what is wrong only in OpenAI's shape.
        group.Map(AnyPath, pipeline.Tell(context => throw ApiError.NotFound(
            $"There is no {context.Http.Request.Method} {context.Http.Request.Path} here. There are POST /v1/completions, POST /v1/embeddings, GET /v1/models and GET /v1/models/NAME.")));
        PageFiles.Map(group);
        return group;
    }
}
