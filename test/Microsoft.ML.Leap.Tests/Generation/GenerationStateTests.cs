namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class GenerationStateTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaximumNewTokens = 6 };

    private static LeapLanguageModelTransformer Model => TrainedModel.Transformer;

    [TestMethod]
    public void Continue_FromState_EqualsFromPrompt()
    {
        using GenerationState state = Model.CreateGenerationState("the c");
        GenerationResult expected = Model.Complete("the c", Greedy);

        GenerationResult result = Model.Continue(state, Greedy);

        Assert.AreEqual(expected.Text, result.Text);
        Assert.AreNotEqual("", result.Text);
        Assert.AreEqual(5, result.PromptTokenCount);
    }

    [TestMethod]
    public void Continue_InTwoCalls_EqualsOne()
    {
        using GenerationState state = Model.CreateGenerationState("the c");
        GenerationOptions three = Greedy with { MaximumNewTokens = 3 };
        Assert.AreEqual(Model.Generate("the c", Greedy), Model.Continue(state, three).Text + Model.Continue(state, three).Text);
    }

    [TestMethod]
    public void Clone_OfPrompt_ForksIt()
    {
        using GenerationState state = Model.CreateGenerationState("the c");
        for (int seed = 0; seed < 4; seed++)
        {
            using GenerationState fork = state.Clone();
            GenerationOptions options = Greedy with { Temperature = 2, Seed = seed };
            Assert.AreEqual(Model.Generate("the c", options), Model.Continue(fork, options).Text);
        }

        Assert.AreEqual(6, state.TokenCount);
    }

    [TestMethod]
    public void Read_InPieces_EqualsOnePrompt()
    {
        using GenerationState state = Model.CreateGenerationState();
        state.Read("the");
        state.Read("");
        state.Read(" c");
        Assert.AreEqual(Model.Generate("the c", Greedy), Model.Continue(state, Greedy).Text);
        state.Reset();
        Assert.AreEqual(1, state.TokenCount);
        state.Read("the c");
        Assert.AreEqual(Model.Generate("the c", Greedy), Model.Continue(state, Greedy).Text);
    }

    [TestMethod]
    public void SaveAndLoad_MidText_GoOnAlike()
    {
        using GenerationState state = Model.CreateGenerationState("the c", PositionPolicy.Restart);
        Model.Continue(state, Greedy with { MaximumNewTokens = 2 });
        using var stream = new MemoryStream();
        state.Save(stream);
        stream.Position = 0;

        using GenerationState loaded = Model.LoadGenerationState(stream);

        Assert.AreEqual(PositionPolicy.Restart, loaded.PositionPolicy);
        GenerationOptions options = Greedy with { Temperature = 2, Seed = 4, MaximumNewTokens = 40 };
        Assert.AreEqual(Model.Continue(state, options).Text, Model.Continue(loaded, options).Text);
        Assert.AreEqual(state.TokenCount, loaded.TokenCount);
        Assert.AreEqual(stream.Length, stream.Position);
    }

    [TestMethod]
    public void Load_DamagedOrForeign_IsRefused()
    {
        using GenerationState state = Model.CreateGenerationState("the c");
        using var stream = new MemoryStream();
        state.Save(stream);
        byte[] bytes = stream.ToArray();
        Assert.ThrowsExactly<FormatException>(() => Model.LoadGenerationState(new MemoryStream(bytes[..^5])));
        Assert.ThrowsExactly<FormatException>(() => Model.LoadGenerationState(new MemoryStream([1, 2, 3])));
        using LeapLanguageModelTransformer other = TinyModel.Fit(new MLContext(1), options => options.Seed = 8);
        FormatException e = Assert.ThrowsExactly<FormatException>(() => other.LoadGenerationState(new MemoryStream(bytes)));
        StringAssert.Contains(e.Message, "another model");
    }

    // A position that overflows a sum would read learned positions out of bounds.
    [TestMethod]
    [DataRow(PositionPolicy.Throw)]
    [DataRow(PositionPolicy.Restart)]
    [DataRow(PositionPolicy.Clamp)]
    public void Load_ForgedCounts_IsRefused(PositionPolicy policy)
    {
        using GenerationState state = Model.CreateGenerationState("the c", policy);
        using var stream = new MemoryStream();
        state.Save(stream);
        byte[] bytes = stream.ToArray();
        int count = Array.IndexOf(bytes, (byte)state.TokenCount, 9 + sizeof(int) + 32);
        int position = count + sizeof(long) + 2 * sizeof(int) + sizeof(int) * (int)state.TokenCount + sizeof(float) * Model.Config.HiddenSize;
        Assert.AreEqual(state.TokenCount, BitConverter.ToInt64(bytes, position));
        foreach (long forged in (long[])[long.MaxValue, long.MaxValue - 1, long.MinValue, -1, state.TokenCount + 1, 1L << 32])
        {
            foreach (int place in (int[])[count, position])
            {
                byte[] copy = [.. bytes];
                BitConverter.TryWriteBytes(copy.AsSpan(place), forged);
                Assert.ThrowsExactly<FormatException>(() => Model.LoadGenerationState(new MemoryStream(copy)), $"{forged} at {place}");
            }
        }

        foreach (int forged in (int[])[-1, 0, 1, int.MaxValue])
        {
            byte[] copy = [.. bytes];
            BitConverter.TryWriteBytes(copy.AsSpan(count + sizeof(long) + sizeof(int)), forged);
            Assert.ThrowsExactly<FormatException>(() => Model.LoadGenerationState(new MemoryStream(copy)), $"{forged} recent tokens");
        }
    }

    [TestMethod]
    public void Read_PastTheContext_FollowsThePolicy()
    {
        string text = TinyModel.Texts[2];
        InvalidOperationException e = Assert.ThrowsExactly<InvalidOperationException>(() => Model.CreateGenerationState(text));
        StringAssert.Contains(e.Message, "PositionPolicy");

        using GenerationState state = Model.CreateGenerationState("the cat");
        long size = state.SizeInBytes;
        Assert.ThrowsExactly<InvalidOperationException>(() => state.Read(text));
        Assert.AreEqual(8, state.TokenCount, "nothing of it is read");
        Assert.AreEqual(Model.Generate("the cat", Greedy), Model.Continue(state, Greedy).Text);

        using GenerationState restarting = Model.CreateGenerationState(text, PositionPolicy.Restart);
        using GenerationState clamping = Model.CreateGenerationState(text, PositionPolicy.Clamp);
        Assert.AreEqual(text.Length + 1, restarting.TokenCount);
        Assert.AreEqual(size, clamping.SizeInBytes);
        Assert.HasCount(50, Model.Continue(clamping, new GenerationOptions { MaximumNewTokens = 50, MinimumNewTokens = 50, Seed = 1 }).Tokens);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(9)]
    [DataRow(40)]
    public void Restart_ReadAtOnceOrByToken_ComesToTheSame(int piece)
    {
        string text = TinyModel.Texts[2] + TinyModel.Texts[2];
        using GenerationState whole = Model.CreateGenerationState(text, PositionPolicy.Restart);
        using GenerationState pieces = Model.CreateGenerationState("", PositionPolicy.Restart);
        foreach (char[] part in text.Chunk(piece))
            pieces.Read(new string(part));
        GenerationOptions options = Greedy with { LogProbabilityCount = 3, MaximumNewTokens = 1, MinimumNewTokens = 1 };

        GeneratedToken expected = Model.Continue(whole, options).Tokens[0];
        GeneratedToken got = Model.Continue(pieces, options).Tokens[0];

        Assert.AreEqual(expected.Id, got.Id);
        Assert.AreEqual(expected.LogProbability, got.LogProbability, 1e-5);
    }

    [TestMethod]
    public void Dispose_Twice_ThenUse_Throws()
    {
        GenerationState state = Model.CreateGenerationState("a");
        state.Dispose();
        state.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => state.Read("b"));
        Assert.ThrowsExactly<ObjectDisposedException>(() => state.Clone());
        Assert.ThrowsExactly<ObjectDisposedException>(() => state.Reset());
        Assert.ThrowsExactly<ObjectDisposedException>(() => state.Save(new MemoryStream()));
        Assert.ThrowsExactly<ObjectDisposedException>(() => Model.Continue(state, Greedy));
    }
}
