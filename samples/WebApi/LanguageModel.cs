using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.ObjectPool;
using Microsoft.ML;
using Microsoft.ML.Leap;

namespace WebApi;

/// <summary>A loaded pipeline that ends with, or contains, a language model. Thread-safe.</summary>
/// <remarks>A <see cref="PredictionEngine{TSrc, TDst}"/> is not thread-safe, and so each is lent to one request at a time. The pool is the
/// one that <c>PredictionEnginePool</c> of the package Microsoft.Extensions.ML is made of. <see cref="LeapLanguageModelTransformer"/>
/// itself is thread-safe: all requests share it.</remarks>
internal sealed class LanguageModel : IDisposable
{
    private readonly ITransformer _pipeline;
    private readonly LeapLanguageModelTransformer _model;
    private readonly ObjectPool<PredictionEngine<TextRow, ScoredText>> _engines;

    /// <param name="context">What makes the prediction engines.</param>
    /// <param name="pipeline">The loaded pipeline, which becomes this object's own.</param>
    public LanguageModel(MLContext context, ITransformer pipeline)
    {
        _pipeline = pipeline;
        _model = pipeline as LeapLanguageModelTransformer
            ?? (pipeline as IEnumerable<ITransformer>)?.OfType<LeapLanguageModelTransformer>().LastOrDefault()
            ?? throw new InvalidDataException("The loaded pipeline has no LEAP language model.");
        _engines = new DefaultObjectPoolProvider().Create(new PredictionEnginePolicy(context, pipeline));

        // A model that reads another column than Text, or writes others than ScoredText has, fails here, not in a request.
        _engines.Return(_engines.Get());
    }

    /// <summary>Scores texts, each by itself.</summary>
    public IReadOnlyList<TextScore> Score(IReadOnlyList<string> texts, CancellationToken cancellationToken)
    {
        PredictionEngine<TextRow, ScoredText> engine = _engines.Get();
        try
        {
            var scores = new TextScore[texts.Count];
            for (int i = 0; i < scores.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                scores[i] = TextScore.FromRow(engine.Predict(new TextRow { Text = texts[i] }));
            }

            return scores;
        }
        finally
        {
            _engines.Return(engine);
        }
    }

    /// <summary>Continues a prompt, token by token. Steps of the pipeline before the model do not see the prompt.</summary>
    public IAsyncEnumerable<GeneratedToken> Generate(string prompt, GenerationOptions options, CancellationToken cancellationToken) =>
        _model.GenerateTokensAsync(prompt, options, cancellationToken);

    public void Dispose()
    {
        (_engines as IDisposable)?.Dispose();
        (_pipeline as IDisposable)?.Dispose();
    }
}

/// <summary>Makes the engines of a pool.</summary>
internal sealed class PredictionEnginePolicy(MLContext context, ITransformer pipeline)
    : PooledObjectPolicy<PredictionEngine<TextRow, ScoredText>>
{
    // By default an engine disposes its transformer with itself; here all engines share one.
    private static readonly PredictionEngineOptions Shared = new() { OwnsTransformer = false };

    public override PredictionEngine<TextRow, ScoredText> Create() =>
        context.Model.CreatePredictionEngine<TextRow, ScoredText>(pipeline, Shared);

    public override bool Return(PredictionEngine<TextRow, ScoredText> obj) => true;
}

/// <summary>Whether the model computes.</summary>
internal sealed class ModelHealthCheck(LanguageModel model) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        bool isFinite = model.Score(["health"], cancellationToken)[0].LogLikelihood is not null;
        return Task.FromResult(isFinite ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("A text's score is not finite."));
    }
}

/// <summary>A row that goes into the pipeline.</summary>
internal sealed class TextRow
{
    public string Text { get; set; } = "";
}

/// <summary>What the pipeline adds to a row.</summary>
internal sealed class ScoredText
{
    public float LogLikelihood { get; set; }

    public int TokenCount { get; set; }

    public float Perplexity { get; set; }
}
