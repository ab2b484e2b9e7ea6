using System.Collections.Concurrent;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Computes a step's gradients on several threads of the CPU: each takes its share of the tokens through the whole network and back.</summary>
/// <remarks>By itself torch shares out each operation among its threads, and waits at the end of each; those of small networks are too short for
/// that. Not thread-safe.</remarks>
internal sealed class GradientThreads : IDisposable
{
    // Whatever its tokens, a share costs a pass over all weights.
    private const int LeastTokens = 128;

    // With these and the vocabularies that the recipe chooses, no buffer reaches the 64 MB of a glibc heap, in which threads other than the first allocate:
    // larger ones are given back to the system at every free. And the longer the operations, the less there is to gain.
    private const int MostTokens = 2048;
    private const long MostBytes = 1 << 24;

    private readonly List<LanguageModelNetwork> _networks;
    private readonly List<Worker> _workers = [];
    private readonly long _bytes;

    /// <param name="model">The network, in training.</param>
    public GradientThreads(LanguageModelNetwork model)
    {
        _networks = [model];
        _bytes = model.Weights.Sum(entry => entry.Weight.numel()) * sizeof(float);
    }

    /// <summary>Tells in how many shares a step of so many tokens is computed best.</summary>
    public int CountShares(long tokens) => _networks[0].Device.type == DeviceType.CPU && tokens <= MostTokens && _bytes <= MostBytes && ThreadLimit.IsAvailable
        ? (int)Math.Clamp(tokens / LeastTokens, 1, get_num_threads())
        : 1;

    /// <summary>Computes the gradients of all shares at once, and leaves their sum with the network's weights.</summary>
    /// <param name="shareCount">The shares, at least 1.</param>
    /// <param name="compute">Adds the gradients of a share, named by its index, to those of the given network's weights. A share that is the only one is
    /// computed on the caller's thread.</param>
    public void Run(int shareCount, Action<LanguageModelNetwork, int> compute)
    {
        foreach (LanguageModelNetwork network in _networks)
            network.zero_grad(set_to_none: true);
        if (shareCount == 1)
        {
            compute(_networks[0], 0);
            return;
        }

        while (_networks.Count < shareCount)
            _networks.Add(_networks[0].CreateTwin());
        while (_workers.Count < shareCount)
            _workers.Add(new Worker());
        int threads = Math.Max(1, get_num_threads() / shareCount);
        Task[] tasks = [.. _workers.Take(shareCount).Select((worker, share) => worker.Start(() =>
        {
            ThreadLimit.Set(threads);
            compute(_networks[share], share);
        }))];
        Task.WhenAll(tasks).GetAwaiter().GetResult();
        for (int share = 1; share < shareCount; share++)
            AddGradients(_networks[share]);
    }

    public void Dispose()
    {
        foreach (Worker worker in _workers)
            worker.Dispose();
        _networks[0].zero_grad(set_to_none: true);
        foreach (LanguageModelNetwork twin in _networks.Skip(1))
            twin.Dispose();
    }

    private void AddGradients(LanguageModelNetwork twin)
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        foreach (var ((_, weight), (_, its)) in _networks[0].Weights.Zip(twin.Weights))
        {
            if (its.grad is not Tensor gradient)
                continue;
            if (weight.grad is Tensor sum)
                sum.Add(gradient);
            else
                weight.grad = gradient;
        }
    }

    /// <summary>A thread that runs tasks one after another. It stays the same because torch and its libraries prepare each new one.</summary>
    private sealed class Worker : IDisposable
    {
        private readonly BlockingCollection<Task> _tasks = [];
        private readonly Thread _thread;

        public Worker()
        {
            _thread = new Thread(RunTasks) { IsBackground = true, Name = nameof(GradientThreads) };
            _thread.Start();
        }

        public Task Start(Action action)
        {
            var task = new Task(action);
            _tasks.Add(task);
            return task;
        }

        public void Dispose()
        {
            _tasks.CompleteAdding();
            _thread.Join();
            _tasks.Dispose();
        }

        private void RunTasks()
        {
            foreach (Task task in _tasks.GetConsumingEnumerable())
                task.RunSynchronously();
        }
    }
}
