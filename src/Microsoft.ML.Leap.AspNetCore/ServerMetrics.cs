using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Microsoft.ML.Leap;

/// <summary>What a server counts and measures, for OpenTelemetry and <c>dotnet-counters</c>.</summary>
internal sealed class ServerMetrics
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "Microsoft.ML.Leap.Server";

    private readonly UpDownCounter<long> _active;
    private readonly UpDownCounter<long> _queued;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _generated;
    private readonly Counter<long> _scored;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _duration;

    public ServerMetrics(IMeterFactory factory)
    {
        Meter meter = factory.Create(MeterName);
        _active = meter.CreateUpDownCounter<long>("leap.server.active_requests", "{request}", "Requests under way, those that wait among them.");
        _queued = meter.CreateUpDownCounter<long>("leap.server.queued_requests", "{request}", "Requests that wait for a place.");
        _refused = meter.CreateCounter<long>("leap.server.refused_requests", "{request}", "Requests that were refused because too many waited.");
        _generated = meter.CreateCounter<long>("leap.server.generated_tokens", "{token}", "Tokens that were added to texts.");
        _scored = meter.CreateCounter<long>("leap.server.scored_tokens", "{token}", "Tokens that were scored, explained or embedded.");
        _firstToken = meter.CreateHistogram<double>("leap.server.time_to_first_token", "s", "From a request to the first token that was made for it.");
        _duration = meter.CreateHistogram<double>("leap.server.request.duration", "s", "From a request to the end of its answer.");
    }

    public void Begin() => _active.Add(1);

    public void End(string route, int status, long started)
    {
        _active.Add(-1);
        _duration.Record(
            Stopwatch.GetElapsedTime(started).TotalSeconds, new KeyValuePair<string, object?>("http.route", route),
            new KeyValuePair<string, object?>("http.response.status_code", status));
    }

    /// <summary>Counts a request that waits, until what is returned is disposed.</summary>
    public Waiting Queue()
    {
        _queued.Add(1);
        return new Waiting(_queued);
    }

    public void Refuse() => _refused.Add(1);

    public void AddGenerated() => _generated.Add(1);

    public void AddScored(long tokens) => _scored.Add(tokens);

    public void AddFirstToken(TimeSpan time) => _firstToken.Record(time.TotalSeconds);

    public readonly struct Waiting(UpDownCounter<long> queued) : IDisposable
    {
        public void Dispose() => queued.Add(-1);
    }
}
