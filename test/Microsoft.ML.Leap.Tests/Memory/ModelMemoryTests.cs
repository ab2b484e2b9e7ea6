namespace Microsoft.ML.Leap.Tests;

/// <summary>The memory in every use of a model, through the public API where it can be seen there.</summary>
[TestClass]
public class ModelMemoryTests
{
    private const string Sentence = "the cat sat on the dog";

    private static readonly MLContext Context = new(1);

    private static LeapLanguageModelTransformer? s_transformer;

    private static LeapLanguageModel Model => s_transformer!.Model;

    [ClassInitialize]
    public static void Train(TestContext context) => s_transformer = TinyModel.Fit(Context, options => options.MemoryMegabytes = 1);

    [ClassCleanup]
    public static void Free() => s_transformer?.Dispose();

    [TestMethod]
    public void ScoreTokens_WithMemory_IsTheProductOfBothModelsPowersMixedWithWhatTheTextSaid()
    {
        IReadOnlyList<int> ids = Model.Tokenizer.Encode("the cat sat o");
        int[] read = [Model.Tokenizer.EndOfTextId, .. ids];
        float[][] logits = BlockLosses.ComputeLogits(Model.Network, new EvaluationBlock(read, 0, StartsStream: true));
        NGramMemory.Reader reader = Model.Memory!.CreateReader();
        reader.Start(Model.Tokenizer.EndOfTextId);
        TextMemory textMemory = Model.Memory.CreateTextMemory();
        float[] scores = Model.ScoreTokens("the cat sat o");
        float[] counted = new float[Model.Tokenizer.VocabularySize];
        for (int i = 0; i < ids.Count; i++)
        {
            // Nothing was held out.
            (float a, float b) = MemoryExponents.Default.Get(ModelMemory.GetContext(reader));
            reader.WriteProbabilities(counted);
            double[] powers = [.. logits[i].Select((logit, id) => Math.Exp(a * (double)logit) * Math.Pow(counted[id], b))];
            (double kept, double added) = textMemory.Find(read.AsSpan(0, i + 1), ids[i]);
            Assert.AreEqual(Math.Log(kept * powers[ids[i]] / powers.Sum() + added), scores[i], 1e-5);
            reader.Read(ids[i]);
        }
    }

    [TestMethod]
    public void Score_TextsOfTheTraining_IsBetterThanWithoutMemory()
    {
        using LeapLanguageModel without = Reload(new LeapLanguageModelOptions { UseMemory = false });
        Assert.IsGreaterThan(without.Score(Sentence).LogLikelihood, Model.Score(Sentence).LogLikelihood);
        Assert.IsLessThan(Model.SizeInBytes, without.SizeInBytes);
    }

    [TestMethod]
    public void Score_InAnyBatch_IsTheSame()
    {
        string[] texts = [.. TinyModel.Texts, Sentence, string.Join(' ', TinyModel.Texts)];
        TextScore[] together = [.. Model.ScoreAll(texts)];
        for (int i = 0; i < texts.Length; i++)
            Assert.AreEqual(Model.Score(texts[i]), together[i]);
        ScoredRowView[] rows = TinyModel.Rows(Context, s_transformer!.Transform(TinyModel.View(Context, texts)));
        for (int i = 0; i < texts.Length; i++)
            Assert.AreEqual(together[i].LogLikelihood, rows[i].LogLikelihood, 1e-4);
    }

    [TestMethod]
    public void Generate_EachToken_HasTheProbabilityThatScoringGivesIt()
    {
        var options = new GenerationOptions { MaximumNewTokens = 12, MinimumNewTokens = 12, Seed = 3, PositionPolicy = PositionPolicy.Clamp };
        GenerationResult result = Model.Complete("a ", options);
        IReadOnlyList<int> prompt = Model.Tokenizer.Encode("a ");
        int[] ids = [Model.Tokenizer.EndOfTextId, .. prompt, .. result.Tokens.Select(token => token.Id)];
        double[] losses = BlockLosses.Compute(Model.Network, [new EvaluationBlock(ids, 0, StartsStream: true)], Model.Memory)[0];
        Model.Memory!.CreateTextMemory().Mix(ids, 1, losses);
        for (int i = 0; i < result.Tokens.Count; i++)
            Assert.AreEqual(-losses[prompt.Count + i], result.Tokens[i].LogProbability, 2e-5);
    }

    [TestMethod]
    public void Mix_Logits_AreThoseOfScoring()
    {
        IReadOnlyList<int> ids = Model.Tokenizer.Encode("the ca");
        float[] logits = new float[Model.Config.VocabularySize];
        float[] hidden = new float[Model.Config.HiddenSize];
        using NetworkState state = Model.Network.CreateState();
        int[] read = [Model.Tokenizer.EndOfTextId, .. ids];
        Model.Network.Read(read, state, hidden);
        Model.Network.Logits([hidden], [logits]);

        Model.Memory!.Mix(logits, read.AsSpan(Math.Max(0, read.Length - Model.Memory.ContextLength)));
        Model.Memory.CreateTextMemory().Mix(logits, read);

        double logSum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        foreach (string next in (string[])["t", "x", " "])
            Assert.AreEqual(Model.ScoreTokens("the ca" + next)[^1], logits[Model.Tokenizer.Encode(next)[0]] - logSum, 2e-5);
    }

    [TestMethod]
    public void Generate_FromASavedState_GoesOnAsTheState()
    {
        var options = new GenerationOptions { MaximumNewTokens = 8, Seed = 5, PositionPolicy = PositionPolicy.Clamp };
        using GenerationState state = Model.CreateGenerationState("the ca", PositionPolicy.Clamp);
        using var stream = new MemoryStream();
        state.Save(stream);
        stream.Position = 0;
        using GenerationState loaded = Model.LoadGenerationState(stream);
        using GenerationState clone = state.Clone();
        string expected = Model.Complete("the ca", options).Text;
        Assert.AreEqual(expected, Model.Continue(state, options).Text);
        Assert.AreEqual(expected, Model.Continue(loaded, options).Text);
        Assert.AreEqual(expected, Model.Continue(clone, options).Text);
    }

    // Longer than the context, and it repeats itself beyond it.
    [TestMethod]
    public void ScoreTokens_TextThatRepeatsItself_IsWhatEveryOtherWaySays()
    {
        string text = string.Concat(Enumerable.Repeat("qzxv kwjy bird upon the hill 7531 ", 4));
        IReadOnlyList<int> ids = Model.Tokenizer.Encode(text);
        Assert.IsGreaterThan(3 * Model.Config.ContextLength, ids.Count);
        float[] scores = Model.ScoreTokens(text);
        IReadOnlyList<ScoredToken> predicted = Model.PredictTokens(text, 3);
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.AreEqual(scores[i], predicted[i].LogProbability);
            TokenLogProbability[] best = [.. predicted[i].Alternatives];
            Assert.IsTrue(best[0].LogProbability >= best[1].LogProbability - 1e-5 && best.Sum(token => Math.Exp(token.LogProbability)) <= 1 + 1e-5);
        }

        // The second time is far likelier than the first, and the network alone has forgotten it.
        int quarter = ids.Count / 4;
        Assert.IsGreaterThan(scores.Take(quarter).Sum() / 2, scores.Skip(quarter).Take(quarter).Sum());
        using LeapLanguageModel without = Reload(new LeapLanguageModelOptions { UseMemory = false });
        float[] alone = without.ScoreTokens(text);
        Assert.IsLessThan(alone.Take(quarter).Sum() / 2, alone.Skip(quarter).Take(quarter).Sum());

        // A continuation tells the same of what it draws, from a state that was saved too.
        using GenerationState state = Model.CreateGenerationState(text, PositionPolicy.Clamp);
        using var stream = new MemoryStream();
        state.Save(stream);
        stream.Position = 0;
        using GenerationState loaded = Model.LoadGenerationState(stream);
        var options = new GenerationOptions { MaximumNewTokens = 1, LogProbabilityCount = 1, PositionPolicy = PositionPolicy.Clamp };
        Assert.AreEqual("q", Model.Continue(state, options).Tokens[0].Alternatives[0].Text);
        Assert.AreEqual("q", Model.Continue(loaded, options).Tokens[0].Alternatives[0].Text);

        double streamed = Model.Evaluate([text], new EvaluationOptions { Mode = EvaluationMode.Streaming, BlockLength = 8 }).CrossEntropy;
        Assert.IsLessThan(-scores.Average() * 1.5, streamed);
    }

    [TestMethod]
    public void Explain_EachToken_TellsTheMemorysShare()
    {
        const string Text = "the cat sat on";
        FocusReport report = Model.Explain(Text);
        float[] scores = Model.ScoreTokens(Text);
        Assert.IsTrue(double.IsNaN(report.Tokens[0].MemoryShare));
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.AreEqual(scores[i], report.Tokens[i + 1].LogLikelihood, 1e-5);
            Assert.IsGreaterThan(0, report.Tokens[i + 1].MemoryShare);
            Assert.IsLessThan(1, report.Tokens[i + 1].MemoryShare);
        }

        Assert.AreEqual(0, TrainedModel.Transformer.Model.Explain(Text).Tokens[3].MemoryShare);
    }

    [TestMethod]
    public void Evaluate_StreamingInBlocks_ReadsOverTheirBorders()
    {
        string[] texts = [string.Join(' ', TinyModel.Texts)];
        double streamed = Model.Evaluate(texts, new EvaluationOptions { Mode = EvaluationMode.Streaming, BlockLength = 4 }).CrossEntropy;
        double whole = Model.Evaluate(texts, new EvaluationOptions { Mode = EvaluationMode.Streaming, BlockLength = 16 }).CrossEntropy;
        using LeapLanguageModel without = Reload(new LeapLanguageModelOptions { UseMemory = false });
        double network4 = without.Evaluate(texts, new EvaluationOptions { Mode = EvaluationMode.Streaming, BlockLength = 4 }).CrossEntropy;
        double network16 = without.Evaluate(texts, new EvaluationOptions { Mode = EvaluationMode.Streaming, BlockLength = 16 }).CrossEntropy;

        // Positions begin anew with each block, so that the network differs a little; the memory does not.
        Assert.IsLessThan(network4, streamed);
        Assert.AreEqual(whole, streamed, Math.Abs(network16 - network4) + 1e-9);
    }

    [TestMethod]
    public void SaveThenLoad_Folder_KeepsTheMemory()
    {
        using var folder = new TemporaryFolder();
        Model.Save(folder.Path);
        using LeapLanguageModel loaded = LeapLanguageModel.Load(folder.Path);
        Assert.AreEqual(Model.Score(Sentence), loaded.Score(Sentence));

        // A model without a memory replaces it, and the memory goes.
        TrainedModel.Transformer.Model.Save(folder.Path);
        using LeapLanguageModel replaced = LeapLanguageModel.Load(folder.Path);
        Assert.AreEqual(TrainedModel.Transformer.Model.Score(Sentence), replaced.Score(Sentence));
    }

    [TestMethod]
    public void SaveThenLoad_Zip_KeepsTheMemory()
    {
        using LeapLanguageModel loaded = Reload(new LeapLanguageModelOptions());
        Assert.AreEqual(Model.Score(Sentence), loaded.Score(Sentence));
    }

    [TestMethod]
    public void Read_NumbersOf32BitsForEveryNGram_IsTheSame()
    {
        using var stream = new MemoryStream();
        Model.Memory!.Write(stream);
        stream.Position = 0;
        ModelMemory small = ModelMemory.Read(stream, stream.Length)(Model.Tokenizer);

        // So files were written at first: numbers of 32 bits, and a number of children for each n-gram.
        stream.Position = 0;
        var reader = new SafeTensorsReader(stream, stream.Length, "memory");
        Assert.IsTrue(reader.Tensors.All(info => info.Type != SafeTensorsType.Int32));
        List<SafeTensor> tensors = [];
        reader.ReadTensors((info, start, bytes) =>
        {
            Assert.AreEqual(0, start);
            byte[] data = bytes.ToArray();
            if (info.Type == SafeTensorsType.Int16)
            {
                int[] numbers = new int[info.Name == "order" ? 1 : Model.Memory.Count];
                info.Type.ToInt32(bytes, numbers.AsSpan(0, bytes.Length / sizeof(short)));
                data = new byte[numbers.Length * sizeof(int)];
                Buffer.BlockCopy(numbers, 0, data, 0, data.Length);
                tensors.Add(new SafeTensor(info.Name, SafeTensorsType.Int32, [numbers.Length], target => target.Write(data)));
                return;
            }

            tensors.Add(new SafeTensor(info.Name, info.Type, info.Shape, target => target.Write(data)));
        });
        using var old = new MemoryStream();
        SafeTensorsWriter.Write(old, tensors);
        old.Position = 0;
        ModelMemory large = ModelMemory.Read(old, old.Length)(Model.Tokenizer);

        NGramMemory.Reader[] readers = [Model.Memory.CreateReader(), small.CreateReader(), large.CreateReader()];
        foreach (int id in Model.Tokenizer.Encode(Sentence + "zq" + Sentence))
        {
            double expected = readers[0].Read(id);
            Assert.AreEqual(expected, readers[1].Read(id));
            Assert.AreEqual(expected, readers[2].Read(id));
            Assert.AreEqual(readers[0].Left, readers[2].Left);
        }
    }

    [TestMethod]
    public void Read_AnyByteDamaged_LoadsOrSaysSo()
    {
        using var stream = new MemoryStream();
        Model.Memory!.Write(stream);
        byte[] file = stream.ToArray();
        var random = new Random(1);
        int refused = 0;
        for (int round = 0; round < 300; round++)
        {
            byte[] damaged = (byte[])file.Clone();
            damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                ModelMemory.Read(new MemoryStream(damaged), damaged.Length)(Model.Tokenizer).CreateReader().Read(3);
            }
            catch (FormatException e)
            {
                Assert.Contains(ModelFileNames.Memory, e.Message);
                refused++;
            }
        }

        Assert.IsGreaterThan(0, refused);
        Assert.ThrowsExactly<FormatException>(() => ModelMemory.Read(new MemoryStream(file[..^5]), file.Length - 5));
    }

    [TestMethod]
    public void Fit_HeldOutRows_TellHowMuchTheMemoryCounts()
    {
        string[] texts = [.. Enumerable.Range(0, 120).Select(i => $"row {i % 7} has the value {i % 7 * 3} and the name n{i % 7}")];
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.MemoryMegabytes = 1;
        options.ContextLength = 64;
        options.ValidationFraction = 0.3;
        using LeapLanguageModelTransformer model = Context.Leap().LanguageModel(options).Fit(TinyModel.View(Context, texts));

        // Such rows are known by heart, and the network has seen little of them.
        Assert.IsGreaterThan(0.9, model.Model.Explain(texts[3]).Tokens.Skip(20).Average(token => token.MemoryShare));
        Assert.IsLessThan(1.3, model.Model.Score(texts[3]).Perplexity);
    }

    private static LeapLanguageModel Reload(LeapLanguageModelOptions options)
    {
        using var stream = new MemoryStream();
        Context.Model.Save(s_transformer!, null, stream);
        stream.Position = 0;
        return LeapLanguageModel.Load(stream, options);
    }
}
