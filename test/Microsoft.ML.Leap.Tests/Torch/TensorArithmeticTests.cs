using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TensorArithmeticTests
{
    [TestMethod]
    public void Operations_Numbers_AreThoseOfArithmetic()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tensor((double[])[1, -2, 3]);
        Tensor y = tensor((double[])[10, 20, 30]);

        Assert.AreSequenceEqual([11, 18, 33], x.Plus(y).data<double>().ToArray());
        Assert.AreSequenceEqual([1.5, -1.5, 3.5], x.Plus(0.5).data<double>().ToArray());
        Assert.AreSequenceEqual([0.5, -1, 1.5], x.Times(0.5).data<double>().ToArray());
        Assert.AreSequenceEqual([1, -2, 3], x.data<double>().ToArray(), "none of them changes its tensor");

        Assert.AreSequenceEqual([6, 8, 18], x.Add(y, 0.5).data<double>().ToArray());
        Assert.AreSequenceEqual([16, 28, 48], x.Add(y).data<double>().ToArray());
        Assert.AreSequenceEqual([8.5, 14.5, 24.5], x.Multiply(0.5).Add(0.5).data<double>().ToArray());
        Assert.AreSequenceEqual([8.5, 14.5, 24.5], x.data<double>().ToArray(), "these change theirs");

        Tensor whole = tensor((int[])[1, 2]).Multiply(3).Add(-1);
        Assert.AreEqual(ScalarType.Int32, whole.dtype);
        Assert.AreSequenceEqual([2, 5], whole.data<int>().ToArray());
    }

    // The plain network, dropout and AdamW's plain step: each threw once in some 30 to 10,000 calls while it made scalars on the way.
    [TestMethod]
    public void PlainPaths_AnotherThreadCollects_NothingThrows()
    {
        using var stop = new CancellationTokenSource();
        Task collector = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect(0, GCCollectionMode.Forced, blocking: true);
                Thread.Sleep(1);
            }
        });
        try
        {
            using Tensor x = randn([3, 5]);
            using Tensor mean = zeros_like(x), square = zeros_like(x);
            var step = new AdamWStep(1, 1, 0.9f, 0.99f, 1e-3f, 1);
            var watch = Stopwatch.StartNew();
            for (int i = 0; i < 4_000 && watch.Elapsed < TimeSpan.FromSeconds(3); i++)
            {
                using DisposeScope scope = NewDisposeScope();
                Dropout.Reference(FocusNorm.Standardize(x), new NoiseMask(i, 7, 0.5)).Plus(x).Times(0.5);
                step.Reference(x, mean, mean, square);
            }

            Assert.IsTrue(x.isfinite().all().item<bool>());
        }
        finally
        {
            stop.Cancel();
            collector.Wait();
        }
    }
}
