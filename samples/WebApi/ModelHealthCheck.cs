using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace WebApi;

/// <summary>Whether the model computes.</summary>
internal sealed class ModelHealthCheck(LanguageModel model) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        bool isHealthy = model.Score(["health"], cancellationToken)[0].LogLikelihood is not null;
        return Task.FromResult(isHealthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("A text's log-likelihood is not finite."));
    }
}
