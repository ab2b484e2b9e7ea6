using Microsoft.Extensions.ObjectPool;
using Microsoft.ML;

namespace WebApi;

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
