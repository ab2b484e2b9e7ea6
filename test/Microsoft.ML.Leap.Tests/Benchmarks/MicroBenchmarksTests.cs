using System.Reflection;
using BenchmarkDotNet.Attributes;
using Microsoft.ML.Leap.Benchmarks;
using TorchSharp;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class MicroBenchmarksTests
{
    [TestMethod]
    [DataRow(typeof(WindowedSumBenchmarks))]
    [DataRow(typeof(AttentionBenchmarks))]
    [DataRow(typeof(LinearCrossEntropyBenchmarks))]
    public void EachBenchmark_RunOnce_LeavesNoTensorBehind(Type type)
    {
        long before = torch.Tensor.TotalCount;
        object benchmark = Activator.CreateInstance(type)!;
        PropertyInfo parameter = type.GetProperties().Single(property => property.GetCustomAttribute<ParamsAttribute>() is not null);
        parameter.SetValue(benchmark, parameter.GetCustomAttribute<ParamsAttribute>()!.Values[0]);
        Call<GlobalSetupAttribute>(benchmark);

        Assert.AreEqual(2, Call<BenchmarkAttribute>(benchmark));

        Call<GlobalCleanupAttribute>(benchmark);

        // Gradients are kept by their tensors, which are gone.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    private static int Call<TAttribute>(object benchmark)
        where TAttribute : Attribute
    {
        MethodInfo[] methods = [.. benchmark.GetType().GetMethods().Where(method => method.GetCustomAttribute<TAttribute>() is not null)];
        foreach (MethodInfo method in methods)
            method.Invoke(benchmark, null);
        return methods.Length;
    }
}
