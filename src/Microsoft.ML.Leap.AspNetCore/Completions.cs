using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace Microsoft.ML.Leap;

/// <summary>Answers <c>POST /v1/completions</c>. All texts of a request step together, and with those of other requests.</summary>
internal static class Completions
{
    private const string ObjectName = "text_completion";

    public static async Task AnswerAsync(CompletionRequest request, CallContext context)
    {
        string id = $"cmpl-{Guid.NewGuid():N}";
        long created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Completion Body(CompletionChoice[] choices, Usage? usage) => new(id, ObjectName, created, context.Options.ModelName, choices, usage);

        await using var work = new CompletionWork(request, context);
        if (!request.IsStreamed)
        {
            CompletionChoice[] choices = await Task.WhenAll(work.Choices.Select(CollectAsync));
            await context.Http.Response.WriteJsonAsync(Body(choices, work.Usage), ServerJson.Default.Completion, context.Cancellation);
            return;
        }

        HttpResponse response = context.Http.Response;
        await foreach (CompletionChoice piece in Merged.ReadAsync(work.Choices, context.Cancellation))
        {
            EventStream.Begin(response);
            await EventStream.WriteAsync(response, Body([piece], null), ServerJson.Default.Completion, context.Cancellation);
        }

        if (request.IncludesUsage)
            await EventStream.WriteAsync(response, Body([], work.Usage), ServerJson.Default.Completion, context.Cancellation);
        await EventStream.EndAsync(response, context.Cancellation);
    }

    private static async Task<CompletionChoice> CollectAsync(IAsyncEnumerable<CompletionChoice> pieces)
    {
        List<CompletionChoice> all = await pieces.ToListAsync();
        return all[^1] with { Text = string.Concat(all.Select(piece => piece.Text)), Logprobs = CompletionLogprobs.Join(all.Select(piece => piece.Logprobs)) };
    }
}

/// <summary>The texts of one request while they are made.</summary>
internal sealed class CompletionWork : IAsyncDisposable
{
    private readonly CompletionRequest _request;
    private readonly CallContext _context;
    private readonly Task<ReadPrompt>[] _prompts;
    private int _newTokens;

    public CompletionWork(CompletionRequest request, CallContext context)
    {
        _request = request;
        _context = context;

        // Prompts are read beside the steps of texts that are under way.
        _prompts = [.. request.Prompts.Select(prompt => context.ComputeAsync(() => Read(prompt)))];
        int seed = request.Generation.Seed ?? Random.Shared.Next();
        Choices = [.. Enumerable.Range(0, request.Prompts.Length * request.Count).Select(i => RunAsync(i, seed, context.Cancellation))];
    }

    /// <summary>Gets what each text consists of, piece by piece: those of the first prompt, then those of the second.</summary>
    public IReadOnlyList<IAsyncEnumerable<CompletionChoice>> Choices { get; }

    public Usage Usage
    {
        get
        {
            int prompt = _request.Prompts.Sum(text => text.Ids.Count);
            return new Usage(prompt, _newTokens, prompt + _newTokens);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Task<ReadPrompt> prompt in _prompts)
        {
            await ((Task)prompt).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (prompt.IsCompletedSuccessfully)
                (await prompt).State?.Dispose();
        }
    }

    private ReadPrompt Read(RequestText prompt)
    {
        IReadOnlyList<ScoredToken> scores = [];
        if (_request is { IsEchoed: true, Alternatives: int alternatives })
        {
            scores = _context.Model.PredictTokens(prompt.Ids, alternatives);
            _context.Metrics.AddScored(prompt.Ids.Count);
        }

        _context.Cancellation.ThrowIfCancellationRequested();
        return new ReadPrompt(prompt, scores, _request.Generation.MaximumNewTokens == 0
            ? null
            : _context.Model.CreateGenerationState(prompt.Ids, _request.Generation.PositionPolicy));
    }

    // Continuations of one prompt differ by their seed, the first of them has the client's own: a prompt gets the same texts, whatever comes with it.
    private async IAsyncEnumerable<CompletionChoice> RunAsync(int index, int seed, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ReadPrompt prompt = await _prompts[index / _request.Count];
        CompletionLogprobs? logprobs = _request.Alternatives is null ? null : new CompletionLogprobs(_context.Model.Tokenizer);
        if (_request.IsEchoed || prompt.State is null)
        {
            if (_request.IsEchoed)
                logprobs?.Add(prompt.Text, prompt.Scores);
            yield return new CompletionChoice(
                index, _request.IsEchoed ? prompt.Text.Text : "", logprobs?.Take(), prompt.State is null ? "length" : null);
        }

        if (prompt.State is null)
            yield break;
        using GenerationState state = prompt.State.Clone();
        GenerationOptions options = _request.Generation with { Seed = unchecked(seed + index % _request.Count) };
        await foreach (GeneratedToken token in _context.Model.ContinueAsync(state, options, cancellationToken))
        {
            if (Interlocked.Increment(ref _newTokens) == 1)
                _context.Metrics.AddFirstToken(Stopwatch.GetElapsedTime(_context.Started));
            _context.Metrics.AddGenerated();
            logprobs?.Add(token);
            if (token.Text.Length > 0 || token.FinishReason is not null || logprobs is not null)
                yield return new CompletionChoice(index, token.Text, logprobs?.Take(), Reason(token.FinishReason));
        }
    }

    private static string? Reason(GenerationFinishReason? reason) => reason switch
    {
        null => null,
        GenerationFinishReason.MaximumNewTokens => "length",
        _ => "stop",
    };

    private sealed record ReadPrompt(RequestText Text, IReadOnlyList<ScoredToken> Scores, GenerationState? State);
}

internal sealed record Completion(string Id, string Object, long Created, string Model, CompletionChoice[] Choices, Usage? Usage);

// Clients find these two in every choice.
internal sealed record CompletionChoice(
    int Index,
    string Text,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] TokenLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

internal sealed record Usage(int PromptTokens, int? CompletionTokens, int TotalTokens);
