using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Leap;

/// <summary>Lets continuations that are streamed at the same time step together: while some step, others gather for the next step. A
/// continuation alone steps at once. Thread-safe; it blocks no thread.</summary>
/// <param name="advance">Adds a token to each of several continuations.</param>
/// <param name="limit">The most that step together; others wait for the step after, in the order in which they came.</param>
internal sealed class StepQueue(Func<IReadOnlyList<Continuation>, ContinuationStep[]> advance, int limit) : IThreadPoolWorkItem
{
    private readonly Lock _lock = new();
    private readonly Queue<Waiting> _waiting = [];
    private bool _isUnderWay;
    private int _lastCount;
    private bool _hasGivenWay;

    /// <summary>Adds a token to a continuation.</summary>
    /// <param name="continuation">The continuation. It must not be touched until the task ends.</param>
    /// <param name="cancellationToken">Ends the wait for a step; a step that has begun ends first.</param>
    public Task<GeneratedToken> StepAsync(Continuation continuation, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return Task.FromCanceled<GeneratedToken>(cancellationToken);
        var waiting = new Waiting(continuation, cancellationToken);
        lock (_lock)
        {
            _waiting.Enqueue(waiting);
            if (_isUnderWay)
                return waiting.Token;
            _isUnderWay = true;
        }

        Schedule();
        return waiting.Token;
    }

    void IThreadPoolWorkItem.Execute()
    {
        List<Waiting> batch = [];
        lock (_lock)
        {
            // Whoever stepped the last time is likely to come back, as soon as its consumer has taken its token: the work that is queued for the
            // threads goes first, once. A continuation alone never waits.
            if (_waiting.Count < _lastCount && !_hasGivenWay)
            {
                _hasGivenWay = true;
                Schedule();
                return;
            }

            _hasGivenWay = false;
            while (batch.Count < limit && _waiting.TryDequeue(out Waiting? next))
            {
                if (!next.EndIfCancelled())
                    batch.Add(next);
            }
        }

        ContinuationStep[] steps = batch.Count == 0 ? [] : Advance(batch);
        if (batch.Count == 1)
        {
            // The consumer goes on in this thread, without a detour over the pool: the next step must not wait for it.
            GoOn(1);
            batch[0].Complete(steps[0]);
            return;
        }

        for (int i = 0; i < steps.Length; i++)
            ThreadPool.UnsafeQueueUserWorkItem(item => item.Waiting.Complete(item.Step), (Waiting: batch[i], Step: steps[i]), preferLocal: false);
        GoOn(batch.Count);
    }

    // What all have in common, such as a disposed model, is a fault of each.
    private ContinuationStep[] Advance(List<Waiting> batch)
    {
        try
        {
            return advance([.. batch.Select(waiting => waiting.Continuation)]);
        }
        catch (Exception e)
        {
            return [.. batch.Select(_ => new ContinuationStep(ExceptionDispatchInfo.Capture(e)))];
        }
    }

    private void GoOn(int count)
    {
        lock (_lock)
        {
            _lastCount = count;
            _isUnderWay = _waiting.Count > 0;
            if (_isUnderWay)
                Schedule();
        }
    }

    // Behind all that is queued already, the consumers of the last step among it.
    private void Schedule() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    private sealed class Waiting(Continuation continuation, CancellationToken cancellationToken)
    {
        private readonly TaskCompletionSource<GeneratedToken> _token = new();

        public Continuation Continuation => continuation;

        public Task<GeneratedToken> Token => _token.Task;

        public bool EndIfCancelled()
        {
            if (!cancellationToken.IsCancellationRequested)
                return false;

            // Its consumer's code is not for the queue's lock.
            ThreadPool.UnsafeQueueUserWorkItem(waiting => waiting._token.TrySetCanceled(waiting.Cancellation), this, preferLocal: false);
            return true;
        }

        public void Complete(ContinuationStep step)
        {
            if (step.Fault is { } fault)
                _token.SetException(fault.SourceException);
            else
                _token.SetResult(step.GetToken());
        }

        private CancellationToken Cancellation => cancellationToken;
    }
}

/// <summary>What came of a step for one continuation: a token, or what kept it from one.</summary>
internal readonly struct ContinuationStep
{
    private readonly GeneratedToken? _token;

    public ContinuationStep(GeneratedToken token) => _token = token;

    public ContinuationStep(ExceptionDispatchInfo fault) => Fault = fault;

    public ExceptionDispatchInfo? Fault { get; }

    /// <summary>Gives the token.</summary>
    /// <exception cref="Exception">There is none, for this reason.</exception>
    public GeneratedToken GetToken()
    {
        Fault?.Throw();
        return _token!;
    }
}
