using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Leap;

/// <summary>Shares work out among threads. What is computed never depends on how many those are. Thread-safe.</summary>
internal sealed class WorkSharing
{
    // Multiplications that are worth waking another thread for.
    private const long LeastShared = 1 << 21;

    /// <param name="threadCount">The threads to use; 0 for as many as there are processors. In a browser there is one.</param>
    public WorkSharing(int threadCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threadCount);
        ThreadCount = OperatingSystem.IsBrowser() ? 1 : threadCount == 0 ? Environment.ProcessorCount : threadCount;
    }

    public int ThreadCount { get; }

    /// <summary>Runs <paramref name="body"/> for each index below <paramref name="count"/>.</summary>
    /// <param name="count">The number of pieces of work.</param>
    /// <param name="multiplications">What all of it takes, about.</param>
    /// <param name="body">Does a piece.</param>
    public void For(int count, long multiplications, Action<int> body)
    {
        if (ThreadCount > 1 && count > 1 && multiplications >= LeastShared)
        {
            new SharedWork(count, body).Run(Math.Min(ThreadCount, count) - 1);
            return;
        }

        for (int i = 0; i < count; i++)
            body(i);
    }

    /// <summary>Runs <paramref name="body"/> for each block of rows: its first row and their number.</summary>
    /// <param name="rows">The number of rows.</param>
    /// <param name="multiplicationsPerRow">What one of them takes, about.</param>
    /// <param name="body">Does a block.</param>
    public void ForRows(int rows, long multiplicationsPerRow, Action<int, int> body)
    {
        // Blocks whose intermediate values stay in the cache, and a multiple of the rows that a product takes at once.
        const int largest = 64, multiple = 8;
        int perThread = (rows + ThreadCount - 1) / ThreadCount;
        int size = Math.Min(largest, (perThread + multiple - 1) / multiple * multiple);
        if (rows * multiplicationsPerRow < LeastShared)
            size = largest;
        For((rows + size - 1) / size, rows * multiplicationsPerRow, block => body(block * size, Math.Min(size, rows - block * size)));
    }
}

/// <summary>Pieces of work that the caller takes from the first on, and threads of the pool from the last on: so a processor finds in its cache
/// what it used the last time.</summary>
/// <remarks>Threads that come too late find nothing to do, and nobody waits for them.</remarks>
/// <param name="count">The number of pieces.</param>
/// <param name="body">Does a piece.</param>
internal sealed class SharedWork(int count, Action<int> body) : IThreadPoolWorkItem
{
    // Turns of waiting before the caller lets others have its processor.
    private const int Spins = 30;

    private readonly object _end = new();
    private int _taken;
    private int _takenByHelpers;
    private int _done;
    private int _isAwaited;
    private ExceptionDispatchInfo? _fault;

    /// <summary>Does all pieces.</summary>
    /// <param name="helpers">Threads to ask for help.</param>
    public void Run(int helpers)
    {
        for (int i = 0; i < helpers; i++)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        for (int i = 0; TryTake(); i++)
            DoPiece(i);

        // What the others have begun ends soon, unless the machine is busy with other work.
        for (SpinWait spin = default; Volatile.Read(ref _done) < count && spin.Count < Spins;)
            spin.SpinOnce(sleep1Threshold: -1);
        if (Volatile.Read(ref _done) < count)
            WaitForEnd();
        _fault?.Throw();
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (TryTake())
            DoPiece(count - Interlocked.Increment(ref _takenByHelpers));
    }

    private void WaitForEnd()
    {
        lock (_end)
        {
            Interlocked.Exchange(ref _isAwaited, 1);
            while (Volatile.Read(ref _done) < count)
                Monitor.Wait(_end);
        }
    }

    private bool TryTake() => Interlocked.Increment(ref _taken) <= count;

    private void DoPiece(int i)
    {
        try
        {
            if (_fault is null)
                body(i);
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _fault, ExceptionDispatchInfo.Capture(e), null);
        }

        if (Interlocked.Increment(ref _done) < count || _isAwaited == 0)
            return;
        lock (_end)
            Monitor.PulseAll(_end);
    }
}

/// <summary>Frees memory when its owner has let go of it and the last call that uses it has ended. Thread-safe.</summary>
/// <param name="free">Frees the memory; called once.</param>
internal sealed class UseCount(Action free)
{
    // Calls that run, and 1 until the owner lets go: who takes it to 0 frees the memory.
    private int _users = 1;
    private int _isReleased;

    /// <summary>Begins a call, which ends when what is returned is disposed.</summary>
    /// <param name="owner">What an exception calls disposed.</param>
    /// <exception cref="ObjectDisposedException">The owner has let go.</exception>
    public Use Begin(object owner)
    {
        ObjectDisposedException.ThrowIf(_isReleased != 0, owner);
        for (int users = _users; ;)
        {
            ObjectDisposedException.ThrowIf(users == 0, owner);
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
                return new Use(this);
            users = seen;
        }
    }

    /// <summary>Lets go for the owner. Further calls do nothing.</summary>
    public void Release()
    {
        if (Interlocked.Exchange(ref _isReleased, 1) == 0)
            End();
    }

    private void End()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            free();
    }

    /// <summary>A call that runs.</summary>
    public readonly struct Use(UseCount count) : IDisposable
    {
        public void Dispose() => count.End();
    }
}
