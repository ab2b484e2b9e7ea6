using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>What an evaluation costs and leaves behind, and what it refuses.</summary>
[TestClass]
public class EvaluationCallTests
{
    private static readonly EvaluationOptions Joined = new() { EndOfText = EndOfTextHandling.Scored };

    [TestMethod]
    [DataRow(EvaluationMode.Disjoint)]
    [DataRow(EvaluationMode.Strided)]
    [DataRow(EvaluationMode.Streaming)]
    public void Evaluate_OneLongStream_TakesConstantMemory(EvaluationMode mode)
    {
        // Blocks of 16 tokens are too small to share among threads.
        using var threads = new ThreadCount(1);
        List<long> memory = [];
        long tokens = TrainedModel.Transformer.Evaluate(Texts(), Joined with { Mode = mode }).TokenCount;

        // Ids of the texts between the two looks, kept, would take 4 bytes each, and the texts 2 bytes per character.
        Assert.AreEqual(70 * 1001, tokens);
        Assert.IsLessThan(50_000, memory[1] - memory[0]);

        IEnumerable<string> Texts()
        {
            for (int i = 0; i < 70; i++)
            {
                if (i is 10 or 60)
                    memory.Add(GC.GetTotalMemory(forceFullCollection: true));
                yield return new string((char)('a' + i % 26), 1000);
            }
        }
    }

    [TestMethod]
    [DataRow(EvaluationMode.Disjoint)]
    [DataRow(EvaluationMode.Strided)]
    [DataRow(EvaluationMode.Streaming)]
    public void Evaluate_AnyMode_LeavesTorchAndTheReadersTensorsAlone(EvaluationMode mode)
    {
        LeapLanguageModelTransformer model = TrainedModel.Transformer;
        List<Tensor> made = [];
        using (new TorchState())
        {
            model.Evaluate(Texts(), Joined with { Mode = mode });
            Assert.AreEqual(30f, made.Sum(tensor => tensor.item<float>()));
            made.ForEach(tensor => tensor.Dispose());
        }

        IEnumerable<string> Texts()
        {
            for (int i = 0; i < 30; i++)
            {
                Assert.IsTrue(is_grad_enabled());
                made.Add(ones(1));
                yield return string.Concat(TinyModel.Texts);
            }
        }
    }

    [TestMethod]
    [DataRow(EvaluationMode.Disjoint)]
    [DataRow(EvaluationMode.Streaming)]
    public void Evaluate_CancelledWhileReading_ThrowsAndLeavesTorchAlone(EvaluationMode mode)
    {
        LeapLanguageModelTransformer model = TrainedModel.Transformer;
        using var source = new CancellationTokenSource();
        int read = 0;
        using (new TorchState())
        {
            Assert.ThrowsExactly<OperationCanceledException>(() => model.Evaluate(Texts(), Joined with { Mode = mode }, source.Token));
        }

        Assert.AreEqual(50, read);

        IEnumerable<string> Texts()
        {
            while (true)
            {
                if (++read == 50)
                    source.Cancel();
                yield return "the cat sat on the mat";
            }
        }
    }

    [TestMethod]
    public void Evaluate_CancelledInOneLongText_EndsBeforeTheNextBatch()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => TrainedModel.Transformer.Evaluate(["a"], Joined, source.Token));
        Assert.ThrowsExactly<OperationCanceledException>(
            () => TrainedModel.Transformer.Evaluate(TinyModel.View(TrainedModel.Context, "a"), Joined, source.Token));
    }

    [TestMethod]
    [DataRow(EvaluationMode.Disjoint)]
    [DataRow(EvaluationMode.Strided)]
    [DataRow(EvaluationMode.Streaming)]
    public void Evaluate_ManyThreads_AgreeWithOne(EvaluationMode mode)
    {
        double expected = TrainedModel.Transformer.Evaluate(TinyModel.Texts, Joined with { Mode = mode }).LogLikelihood;
        Parallel.For(0, 8, _ => Assert.AreEqual(
            expected, TrainedModel.Transformer.Evaluate(TinyModel.Texts, Joined with { Mode = mode }).LogLikelihood));
    }

    [TestMethod]
    public void Evaluate_OptionsThatDoNotFit_AreRefusedByName()
    {
        AssertRefused<ArgumentOutOfRangeException>(new() { BlockLength = 17 }, "BlockLength");
        AssertRefused<ArgumentOutOfRangeException>(new() { Mode = EvaluationMode.Strided, BlockLength = 4, Stride = 5 }, "Stride");
        AssertRefused<ArgumentException>(new() { Stride = 5 }, "Stride");
        AssertRefused<ArgumentException>(new() { DocumentsPerStream = 5 }, "DocumentsPerStream");
        AssertRefused<ArgumentException>(new() { PredictBlockStarts = false, Mode = EvaluationMode.Streaming }, "PredictBlockStarts");
        AssertRefused<ArgumentException>(new() { PredictBlockStarts = false, BlockLength = 1 }, "BlockLength");
        AssertRefused<ArgumentException>(new() { ShiftLastBlock = true, DropRemainder = true }, "DropRemainder");
        AssertRefused<ArgumentException>(new() { ShiftLastBlock = true, PredictBlockStarts = false }, "PredictBlockStarts");
        AssertRefused<ArgumentException>(new() { ShiftLastBlock = true, Mode = EvaluationMode.Streaming }, "Streaming");
    }

    [TestMethod]
    public void Options_ValuesOutOfRange_AreRefused()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { Mode = (EvaluationMode)9 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { EndOfText = (EndOfTextHandling)9 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { WordCount = (WordCountRule)9 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { BlockLength = 0 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { Stride = 0 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { DocumentsPerStream = 0 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { BatchSize = 0 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new EvaluationOptions { PositionBucketSize = -1 });
    }

    [TestMethod]
    public void Evaluate_MissingArgumentsOrDisposed_SaysSo()
    {
        LeapLanguageModelTransformer model = TinyModel.Fit(TrainedModel.Context);
        Assert.ThrowsExactly<ArgumentNullException>(() => model.Evaluate((IEnumerable<string>)null!, Joined));
        Assert.ThrowsExactly<ArgumentNullException>(() => model.Evaluate((IDataView)null!, Joined));
        Assert.ThrowsExactly<ArgumentNullException>(() => model.Evaluate(["a"], null!));
        IDataView other = TrainedModel.Context.Data.LoadFromEnumerable([new { Words = "a" }]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.Evaluate(other, Joined));
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Evaluate(["a"], Joined));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Evaluate(other, Joined));
    }

    private static void AssertRefused<TException>(EvaluationOptions options, string name)
        where TException : ArgumentException
    {
        var exception = Assert.ThrowsExactly<TException>(() => TrainedModel.Transformer.Evaluate(["a"], options));
        StringAssert.Contains(exception.Message, name);
        Assert.AreEqual("options", exception.ParamName);
    }
}
