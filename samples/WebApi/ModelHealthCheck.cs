using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace WebApi;

/// <summary>Whether the model computes.</summary>
internal sealed class ModelHealthCheck(LanguageModel model) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        bool isFinite = model.Score(["health"], cancellationToken)[0].LogLikelihood is not null;
        return Task.FromResult(isFinite ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("A text's score is not finite."));
    }
}
