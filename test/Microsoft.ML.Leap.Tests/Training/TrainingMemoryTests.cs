using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public sealed class TrainingMemoryTests
{
    [TestMethod]
    public void Fit_HiddenSizeBeyondTheMachine_NamesItBeforeAnyMemoryIsTaken()
    {
        long before = Environment.WorkingSet;

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => TinyModel.Fit(new MLContext(1), options =>
        {
            options.HiddenSize = 65536;
            options.LayerCount = 64;
        }));

        StringAssert.Contains(error.Message, "HiddenSize than 65536");
        StringAssert.Contains(error.Message, "GB");
        Assert.IsLessThan(1L << 30, Environment.WorkingSet - before);
    }

    [TestMethod]
    public void Fit_GreatestContext_TakesWhatTheTextsNeed()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(new MLContext(1), options =>
        {
            options.ContextLength = int.MaxValue;
            options.UsePositionEmbeddings = false;
        });

        Assert.IsTrue(double.IsFinite(model.History.Records[^1].TrainingLoss));
    }

    [TestMethod]
    public void Fit_PositionsBeyondTheMachine_AreRefused()
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => TinyModel.Fit(new MLContext(1), options => (options.ContextLength, options.HiddenSize) = (int.MaxValue, 64)));

        StringAssert.Contains(error.Message, "of memory");
    }

    // 12 bytes per weight, and 32 per value of a token in a layer.
    [TestMethod]
    [DataRow(1_000_000, true)]
    [DataRow(10, false)]
    public void RequireFits_Step_CountsTokensOfTheTexts(long corpusTokens, bool refused)
    {
        var config = new LeapConfig(256, 64, 512, 2, 2, usePositionEmbeddings: false);
        const long Available = 12L * (2 * 12 * 64 * 64 + 256 * 64) + 32 * 2 * 64 * 1000;

        if (refused)
            StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => TrainingMemory.RequireFits(config, 4, corpusTokens, Available)).Message, "BatchSize than 4");
        else
            TrainingMemory.RequireFits(config, 4, corpusTokens, Available);
    }

    // The longest array that .NET makes has fewer elements; a tensor of so many bytes libtorch refuses to make.
    [TestMethod]
    public void IsExhausted_WhatRunsOutOfMemory_IsKnown()
    {
        Exception managed = Catch(() => GC.KeepAlive(new byte[int.MaxValue]));
        Exception native = Catch(() => TorchSharp.torch.empty(1L << 50).Dispose());
        Exception other = Catch(() => TorchSharp.torch.ones(2).reshape(3).Dispose());

        Assert.IsTrue(TrainingMemory.IsExhausted(managed), managed.ToString());
        Assert.IsTrue(TrainingMemory.IsExhausted(native), native.ToString());
        Assert.IsInstanceOfType<ExternalException>(other);
        Assert.IsFalse(TrainingMemory.IsExhausted(other));
    }

    private static Exception Catch(Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception)
        {
            return exception;
        }

        throw new InvalidOperationException("Nothing was thrown.");
    }
}
