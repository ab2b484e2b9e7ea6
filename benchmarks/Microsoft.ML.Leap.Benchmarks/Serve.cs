using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "serve": a server on the loopback, and clients of it in the same process.</summary>
internal static class ServeCommand
{
    private static readonly ServeSettings _default = new();

    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var model = new Option<string?>("--model")
        {
            Description = "The quick start's zip, or any saved model; by default one is trained as the quick start does",
        };
        Option<int> training = PositiveOption.Create("--training-seconds", "Time budget of that training", (int)_default.Budget.TotalSeconds);
        Option<int> seconds = PositiveOption.Create("--seconds", "Time of each measurement", (int)_default.Time.TotalSeconds);
        var clients = new Option<int[]>("--clients")
        {
            Description = "Clients that stream at the same time",
            DefaultValueFactory = _ => [.. _default.Clients],
            AllowMultipleArgumentsPerToken = true,
        };
        clients.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int[]>() is { } counts && (counts.Length == 0 || counts.Min() < 1))
                result.AddError("--clients must be at least 1.");
        });
        Option<int> tokens = PositiveOption.Create("--tokens", "Tokens of each stream", _default.Tokens);
        var command = new System.CommandLine.Command("serve", "Measure a server: tokens per second of several clients, and scores.")
        {
            json, model, training, seconds, clients, tokens,
        };
        command.SetAction(arguments => ReadableErrors.Run(() =>
        {
            ServeReport report = ServeBenchmark.RunAsync(new ServeSettings
            {
                Model = arguments.GetValue(model),
                Budget = TimeSpan.FromSeconds(arguments.GetValue(training)),
                Time = TimeSpan.FromSeconds(arguments.GetValue(seconds)),
                Clients = arguments.GetRequiredValue(clients),
                Tokens = arguments.GetValue(tokens),
            }).GetAwaiter().GetResult();
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
            report.Write();
        }));
        return command;
    }
}

/// <summary>The sizes of the verb "serve".</summary>
internal sealed record ServeSettings
{
    public string? Model { get; init; }

    public TimeSpan Budget { get; init; } = TimeSpan.FromSeconds(20);

    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(10);

    public IReadOnlyList<int> Clients { get; init; } = [1, 8, 32];

    public int Tokens { get; init; } = 200;
}

/// <summary>Asks a server over HTTP, as clients do.</summary>
internal sealed class ServeBenchmark(HttpClient http, ServeSettings settings, int endOfTextId)
{
    private const string Prompt = "Gets the number of";
    private const string Row = "Returns the number of elements in the collection.";

    // As many as the requests that a processor can compute while another sends.
    private const int ScoringClients = 4;

    // However fast the machine: loops end.
    private const int MostRequests = 100_000;

    public static async Task<ServeReport> RunAsync(ServeSettings settings)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("leap-");
        try
        {
            string path = settings.Model ?? QuickStartModel.Prepare(new InferenceSettings { Budget = settings.Budget }, folder.FullName).Path;
            using LeapLanguageModel model = LeapLanguageModel.Load(path);
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Services.AddLeap(model, options => options.ConcurrentRequests = Math.Max(options.ConcurrentRequests, settings.Clients.Max()));
            await using WebApplication server = builder.Build();
            server.MapLeap();
            await server.StartAsync();
            using var http = new HttpClient { BaseAddress = new Uri(server.Urls.Single()) };
            ServeReport report = await new ServeBenchmark(http, settings, model.Tokenizer.EndOfTextId).MeasureAsync();
            await server.StopAsync();
            return report;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task<ServeReport> MeasureAsync()
    {
        // .NET compiles a method for speed only once it has often run.
        await StreamAsync(settings.Clients[0], settings.Time / 4);
        List<ServeClients> clients = [];
        foreach (int count in settings.Clients)
            clients.Add(await StreamAsync(count, settings.Time));
        await ScoreAsync(settings.Time / 4);
        return new ServeReport(clients, await ScoreAsync(settings.Time));
    }

    private async Task<ServeClients> StreamAsync(int clients, TimeSpan time)
    {
        long start = Stopwatch.GetTimestamp();
        (long Tokens, double FirstToken)[][] all = await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            List<(long, double)> streams = [];
            while (Stopwatch.GetElapsedTime(start) < time && streams.Count < MostRequests)
                streams.Add(await ReadStreamAsync(seed: client * MostRequests + streams.Count));
            return streams.ToArray();
        })));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double[] first = [.. all.SelectMany(streams => streams).Select(stream => stream.FirstToken).Order()];
        return new ServeClients(
            clients, all.Sum(streams => streams.Sum(stream => stream.Tokens)) / seconds, first[Math.Min(first.Length - 1, (int)(0.95 * first.Length))]);
    }

    private async Task<(long Tokens, double FirstToken)> ReadStreamAsync(int seed)
    {
        long start = Stopwatch.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = JsonContent.Create(new
            {
                prompt = Prompt,
                max_tokens = settings.Tokens,
                seed,
                stream = true,
                stream_options = new { include_usage = true },

                // A text that the model ends is shorter than others.
                logit_bias = new Dictionary<string, int> { [endOfTextId.ToString(CultureInfo.InvariantCulture)] = -100 },
            }),
        };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        response.EnsureSuccessStatusCode();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        double first = 0;
        string last = "";
        while (await reader.ReadLineAsync() is { } line && line != "data: [DONE]")
        {
            if (line.Length == 0)
                continue;
            if (first == 0)
                first = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            last = line["data: ".Length..];
        }

        using JsonDocument usage = JsonDocument.Parse(last);
        return (usage.RootElement.GetProperty("usage").GetProperty("completion_tokens").GetInt64(), first);
    }

    private async Task<double> ScoreAsync(TimeSpan time)
    {
        long start = Stopwatch.GetTimestamp();
        int[] requests = await Task.WhenAll(Enumerable.Range(0, ScoringClients).Select(_ => Task.Run(async () =>
        {
            int count = 0;
            for (; Stopwatch.GetElapsedTime(start) < time && count < MostRequests; count++)
            {
                using HttpResponseMessage response = await http.PostAsJsonAsync("/score", new { texts = new[] { Row } });
                response.EnsureSuccessStatusCode();
                await response.Content.ReadAsByteArrayAsync();
            }

            return count;
        })));
        return requests.Sum() / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}

/// <summary>What some clients got that streamed at the same time.</summary>
/// <param name="Clients">Their number.</param>
/// <param name="TokensPerSecond">Of all of them together.</param>
/// <param name="MillisecondsToFirstToken95">From a request to its first token: 95 % of the streams had it by then.</param>
internal sealed record ServeClients(int Clients, double TokensPerSecond, double MillisecondsToFirstToken95);

/// <summary>The figures of the verb "serve".</summary>
internal sealed record ServeReport(IReadOnlyList<ServeClients> Clients, double ScoreRequestsPerSecond)
{
    public void Write()
    {
        var table = new Table().AddColumns("clients", "tokens/s", "ms to first token, 95 %");
        foreach (ServeClients row in Clients)
            table.AddRow(row.Clients.ToString(CultureInfo.InvariantCulture), Format(row.TokensPerSecond), Format(row.MillisecondsToFirstToken95));
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"{Format(ScoreRequestsPerSecond)} requests per second to score a row");
    }

    private static string Format(double value) => value.ToString("N1", CultureInfo.InvariantCulture);
}
