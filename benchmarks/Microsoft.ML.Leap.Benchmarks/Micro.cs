using System.CommandLine;
using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "micro": the kernels and the tokenizer by themselves, by BenchmarkDotNet.</summary>
internal static class MicroCommand
{
    public static System.CommandLine.Command Create()
    {
        var json = new Option<FileInfo?>("--json") { Description = "File to write the results to" };
        var filter = new Option<string[]>("--filter")
        {
            Description = "Which benchmarks, as *Windowed*",
            DefaultValueFactory = _ => ["*"],
            AllowMultipleArgumentsPerToken = true,
        };
        var quick = new Option<bool>("--quick") { Description = "Three iterations each: rough, and quickly done" };
        var command = new System.CommandLine.Command("micro", "Measure the kernels and the tokenizer by themselves.") { json, filter, quick };
        command.SetAction(arguments =>
        {
            var report = MicroReport.FromSummaries(BenchmarkRunner.Run(
                typeof(MicroCommand).Assembly, Configure(arguments.GetRequiredValue(filter), arguments.GetValue(quick))));
            if (arguments.GetValue(json) is FileInfo file)
                JsonReport.Write(file.FullName, report);
        });
        return command;
    }

    // In this process: libtorch makes the projects that BenchmarkDotNet would build large and slow to start.
    private static ManualConfig Configure(string[] filters, bool isQuick)
    {
        Job job = (isQuick ? Job.ShortRun : Job.Default).WithToolchain(InProcessEmitToolchain.Instance);
        return ManualConfig.Create(DefaultConfig.Instance)
            .AddJob(job)
            .AddFilter(new GlobFilter(filters))
            .WithArtifactsPath(Path.Combine("artifacts", "BenchmarkDotNet"))
            .WithOptions(ConfigOptions.JoinSummary);
    }
}

/// <summary>What the verb "micro" measured.</summary>
internal sealed record MicroReport(MachineFacts Machine, IReadOnlyList<MicroResult> Rows)
{
    public static MicroReport FromSummaries(IEnumerable<Summary> summaries)
    {
        BenchmarkReport[] reports = [.. summaries.SelectMany(summary => summary.Reports)];
        if (reports.FirstOrDefault(report => report.ResultStatistics is null) is BenchmarkReport failed)
            throw new InvalidOperationException($"The benchmark {failed.BenchmarkCase.DisplayInfo} gave no result.");
        return new MicroReport(MachineFacts.Collect(), [.. reports.Select(Row)]);
    }

    private static MicroResult Row(BenchmarkReport report) => new(
        report.BenchmarkCase.Descriptor.GetFilterName(),
        report.BenchmarkCase.Parameters.DisplayInfo,
        report.ResultStatistics!.Mean / 1000,
        report.ResultStatistics.StandardError / 1000);
}

/// <summary>What one micro-benchmark took.</summary>
internal sealed record MicroResult(string Benchmark, string Parameters, double MeanMicroseconds, double ErrorMicroseconds);

/// <summary>The windowed sum by tensor operations, for each kind of window: doubled, in blocks, global.</summary>
public class WindowedSumBenchmarks
{
    private Tensor _x = null!;
    private Tensor _gradient = null!;

    [Params(4, 64, 256, 2048)]
    public int Window { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        NativeBackend.EnsureLoaded();
        _x = randn(2, 2048, 4, 32).requires_grad_();
        _gradient = randn(2, 2048, 4, 32);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _x.Dispose();
        _gradient.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        WindowedSum.Compute(_x, Window);
    }

    [Benchmark]
    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        autograd.backward([WindowedSum.Compute(_x, Window)], [_gradient]);
    }
}

/// <summary>One layer's LEAP attention in training, dropout included, for each kind of window.</summary>
[SuppressMessage("Design", "CA1001", Justification = "BenchmarkDotNet calls the cleanup.")]
public class AttentionBenchmarks
{
    private DropoutNoise _noise = null!;
    private MultiheadLeap _attention = null!;
    private Tensor _projected = null!;
    private Tensor _gradient = null!;

    [Params(4, 64, 256, 2048)]
    public int Window { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        NativeBackend.EnsureLoaded();
        _noise = new DropoutNoise(1);
        _attention = new MultiheadLeap(headCount: 4, focusSize: 32, Window, rescale: 8, new Dropout(0.1, _noise));
        _projected = randn(2, 2048, 4 * 128).requires_grad_();
        _gradient = randn(2, 2048, 128);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _attention.Dispose();
        _projected.Dispose();
        _gradient.Dispose();
        _noise.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Attend();
    }

    [Benchmark]
    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        autograd.backward([Attend()], [_gradient]);
    }

    private Tensor Attend() => _attention.call(_projected);
}

/// <summary>The output layer and its loss, 1,024 tokens against a vocabulary of 32,100.</summary>
public class LinearCrossEntropyBenchmarks
{
    private const long Rows = 1024;

    private Tensor _hidden = null!;
    private Tensor _weight = null!;
    private Tensor _bias = null!;
    private Tensor _targets = null!;

    [Params(false, true)]
    public bool BFloat16 { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        NativeBackend.EnsureLoaded();
        _hidden = randn(Rows, 128).requires_grad_();
        _weight = randn(32100, 128).requires_grad_();
        _bias = zeros(32100).requires_grad_();
        _targets = randint(32100, [Rows], ScalarType.Int64);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (Tensor tensor in (Tensor[])[_hidden, _weight, _bias, _targets])
            tensor.Dispose();
    }

    [Benchmark]
    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGradients = no_grad();
        Lose();
    }

    [Benchmark]
    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        Lose().backward();
    }

    private Tensor Lose() =>
        LinearCrossEntropy.Mean(_hidden, _weight, _bias, _targets, Rows, new LinearCrossEntropyLayout(UsesBFloat16: BFloat16));
}

/// <summary>Learning a byte-level BPE, and encoding with it: made-up texts of 400,000 words, 2.8 million characters.</summary>
public class TokenizerBenchmarks
{
    private const int VocabularySize = 8192;

    private string[] _texts = null!;
    private LeapTokenizer _tokenizer = null!;

    [GlobalSetup]
    public void Setup()
    {
        _texts = [.. new ScoringTexts(VocabularySize).Corpus(4000, 100)];
        _tokenizer = Train();
    }

    [Benchmark]
    public LeapTokenizer Train() => TokenizerOptions.ByteLevelBpe(VocabularySize).Create(_texts.Select(text => text.AsMemory()), default);

    [Benchmark]
    public int Encode() => _texts.Sum(text => _tokenizer.Encode(text).Count);
}
