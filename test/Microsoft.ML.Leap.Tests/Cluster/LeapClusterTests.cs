namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>Training in one process, through a silo in it.</summary>
[TestClass]
public sealed class LeapClusterTests
{
    private static LocalCluster s_cluster = null!;

    [ClassInitialize]
    public static async Task StartAsync(TestContext _) => s_cluster = await LocalCluster.StartAsync();

    [ClassCleanup]
    public static async Task StopAsync() => await s_cluster.DisposeAsync();

    [TestMethod]
    [DataRow(DifferenceFormat.Quantized, 1.0, 0.0)]
    [DataRow(DifferenceFormat.BFloat16, 0.7, 0.9)]
    public async Task TrainAsync_TwoWorkers_EndWithOneNetwork(DifferenceFormat format, double rate, double momentum)
    {
        string run = $"two {format}";
        ClusterTrainingOptions options = Options(run);
        options.Format = format;
        options.OuterLearningRate = rate;
        options.OuterMomentum = momentum;

        LeapLanguageModelTransformer[] models = await Task.WhenAll(TrainAsync(options), TrainAsync(options));

        CollectionAssert.AreEqual(TrainingGroupTests.WeightsOf(models[0]), TrainingGroupTests.WeightsOf(models[1]));
        Assert.AreEqual(models[0].History.Records[^1].ValidationLoss, models[1].History.Records[^1].ValidationLoss);
        ClusterProgress progress = await s_cluster.Connect(new MLContext(1)).GetProgressAsync(run);
        Assert.AreEqual(RunPhase.Over, progress.Phase);
        Assert.AreEqual(4, progress.Round);
        Assert.AreEqual(4, progress.RoundCount);
        Assert.AreEqual(0, progress.LateDifferences);
        Assert.AreEqual(models[0].History.Records[^1].ValidationLoss, progress.ValidationLoss);
        Assert.Contains(line => line.Contains($"Run {run}: round 4 of 4 ended", StringComparison.Ordinal) && line.Contains("2 of 2 workers", StringComparison.Ordinal),
            s_cluster.Log.Lines);

        // Who comes after the end gets the network.
        using LeapLanguageModelTransformer late = await TrainAsync(options);
        CollectionAssert.AreEqual(TrainingGroupTests.WeightsOf(models[0]), TrainingGroupTests.WeightsOf(late));
        foreach (LeapLanguageModelTransformer model in models)
            model.Dispose();
    }

    // With one round, one worker, rate 1 and no momentum the weights become the worker's, but for the rounding of their change: a 256th of it in bfloat16.
    [TestMethod]
    public async Task TrainAsync_OneWorkerOneRound_IsOrdinaryTrainingButForRounding()
    {
        ClusterTrainingOptions options = Options("plain");
        options.WorkerCount = 1;
        options.StepsPerRound = 8;
        options.Format = DifferenceFormat.BFloat16;
        var context = new MLContext(1);
        IDataView data = TinyModel.View(context, TinyModel.Texts);
        LeapLanguageModelTrainer.Options plain = options.Trainer.Copy();
        plain.KeepBestModel = false;
        using LeapLanguageModelTransformer expected = context.Leap().LanguageModel(plain).Fit(data);

        using LeapLanguageModelTransformer model = await TrainAsync(options);

        using var initial = new LeapModel(expected.Config, TorchSharp.torch.CPU, seed: plain.Seed!.Value);
        float[] first = WeightExchange.Read(initial), wanted = Flatten(expected), found = Flatten(model);
        double moved = 0;
        for (int i = 0; i < wanted.Length; i++)
        {
            double change = Math.Abs(wanted[i] - (double)first[i]);
            moved = Math.Max(moved, change);
            Assert.AreEqual(wanted[i], found[i], change / 256 + 1e-6);
        }

        Assert.IsGreaterThan(1e-3, moved);

        float[] Flatten(LeapLanguageModelTransformer transformer)
        {
            using LeapModel network = TinyModel.CopyNetwork(transformer);
            return WeightExchange.Read(network);
        }
    }

    [TestMethod]
    public async Task TrainAsync_OwnParts_LearnFromBoth()
    {
        ClusterTrainingOptions options = Options("own parts");
        options.HasOwnPart = true;
        options.Trainer.ValidationFraction = 0;

        LeapLanguageModelTransformer[] models =
            await Task.WhenAll(TrainAsync(options, TinyModel.Texts[..3]), TrainAsync(options, TinyModel.Texts[3..]));

        CollectionAssert.AreEqual(TrainingGroupTests.WeightsOf(models[0]), TrainingGroupTests.WeightsOf(models[1]));
        foreach (LeapLanguageModelTransformer model in models)
            model.Dispose();
    }

    [TestMethod]
    public async Task TrainAsync_OneCancelled_TheOtherEnds()
    {
        ClusterTrainingOptions options = Options("cancelled");
        ClusterTrainingOptions victim = Options("cancelled");
        using var cancellation = new CancellationTokenSource();
        victim.Trainer.Progress = progress =>
        {
            if (progress.Step == 3)
                cancellation.Cancel();
        };

        Task<LeapLanguageModelTransformer> cancelled = TrainAsync(victim, cancellationToken: cancellation.Token);
        using LeapLanguageModelTransformer model = await TrainAsync(options);

        await Assert.ThrowsAsync<OperationCanceledException>(() => cancelled);
        Assert.AreEqual(8, (int)model.History.Records[^1].Step);
        Assert.Contains(line => line.Contains("Run cancelled: the worker of rank", StringComparison.Ordinal) && line.Contains("left", StringComparison.Ordinal), s_cluster.Log.Lines);
    }

    [TestMethod]
    public async Task TrainAsync_OtherOptions_IsRefusedInWords()
    {
        ClusterTrainingOptions options = Options("refused");
        options.WorkerCount = 1;
        using LeapLanguageModelTransformer model = await TrainAsync(options);
        options.Trainer.LayerCount = 1;

        InvalidOperationException exception = await Assert.ThrowsExactlyAsync<InvalidOperationException>(() => TrainAsync(options));

        Assert.AreEqual(
            "The run refused refuses this worker. LayerCount of the run is 2, and that of this worker 1. Make them agree, or choose another RunName.", exception.Message);
    }

    [TestMethod]
    public async Task DeleteRunAsync_RunThatIsOver_FreesItsName()
    {
        ClusterTrainingOptions options = Options("deleted");
        options.WorkerCount = 1;
        LeapCluster cluster = s_cluster.Connect(new MLContext(1));
        (await TrainAsync(options)).Dispose();

        await cluster.DeleteRunAsync("deleted");

        Assert.AreEqual(RunPhase.Planning, (await cluster.GetProgressAsync("deleted")).Phase);
        options.Trainer.LayerCount = 1;
        using LeapLanguageModelTransformer model = await TrainAsync(options);
        Assert.AreEqual(1, model.Config.LayerCount);
    }

    [TestMethod]
    public async Task TrainAsync_BadArguments_Throws()
    {
        LeapCluster cluster = s_cluster.Connect(new MLContext(1));
        IDataView data = TinyModel.View(new MLContext(1), TinyModel.Texts);
        ClusterTrainingOptions options = Options("x");
        options.WorkerCount = 0;

        await Assert.ThrowsExactlyAsync<ArgumentNullException>(() => cluster.TrainAsync(null!, data));
        await Assert.ThrowsExactlyAsync<ArgumentNullException>(() => cluster.TrainAsync(options, null!));
        await Assert.ThrowsExactlyAsync<ArgumentOutOfRangeException>(() => cluster.TrainAsync(options, data));
        await Assert.ThrowsExactlyAsync<ArgumentException>(() => cluster.GetProgressAsync(" "));
        await Assert.ThrowsExactlyAsync<ArgumentNullException>(() => cluster.DeleteRunAsync(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => new MLContext(1).Leap().Cluster(null!));
    }

    [TestMethod]
    public async Task Takes_AllRows_EachIsOfOneWorker()
    {
        using var cancellation = new CancellationTokenSource();
        ClusterTrainingOptions options = Options("parts");
        options.WorkerCount = 3;
        options.Trainer.CancellationToken = cancellation.Token;
        string[] rows = [.. Enumerable.Range(0, 3000).Select(i => $"row {i}")];
        var logs = Enumerable.Range(0, 3).Select(_ => new KeptLog()).ToArray();
        ClusterWorker[] workers = [.. logs.Select(log => new ClusterWorker(s_cluster.Run("parts"), options, log))];

        // The first of them has a plan to make, for which the others wait in Join; each has its rank.
        Task<TrainingPlan?>[] joins = [.. workers.Select(worker => Task.Run(worker.Join))];
        while (!logs.All(log => log.Lines.Any(line => line.Contains("this worker has rank", StringComparison.Ordinal))))
            await Task.Delay(20);
        int[][] parts = [.. workers.Select(worker => Enumerable.Range(0, rows.Length).Where(i => worker.Takes(rows[i])).ToArray())];
        await cancellation.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => Task.WhenAll(joins));
        foreach (ClusterWorker worker in workers)
            await worker.DisposeAsync();

        CollectionAssert.AreEquivalent(Enumerable.Range(0, rows.Length).ToArray(), parts.SelectMany(part => part).ToArray());
        foreach (int[] part in parts)
            Assert.AreEqual(rows.Length / 3.0, part.Length, 150);
    }

    private static ClusterTrainingOptions Options(string run)
    {
        LeapLanguageModelTrainer.Options trainer = TinyModel.Options();
        trainer.MaximumSteps = 8;
        trainer.ValidationFraction = 0.3;
        return new ClusterTrainingOptions { RunName = run, Trainer = trainer, StepsPerRound = 2, StartWait = TimeSpan.FromMinutes(10) };
    }

    private static Task<LeapLanguageModelTransformer> TrainAsync(
        ClusterTrainingOptions options, string[]? texts = null, CancellationToken cancellationToken = default)
    {
        var context = new MLContext(1);
        return s_cluster.Connect(context).TrainAsync(options, TinyModel.View(context, texts ?? TinyModel.Texts), cancellationToken: cancellationToken);
    }
}
