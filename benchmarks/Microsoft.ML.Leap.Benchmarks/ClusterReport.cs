using System.Diagnostics;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A run of several workers.</summary>
/// <param name="Workers">The workers.</param>
/// <param name="TokensPerSecond">Training tokens of all of them per second of training, evaluations and waiting included.</param>
/// <param name="SteadyTokensPerSecond">The same from the second round on, when all code is compiled; <see langword="null"/> for a run of one round.</param>
/// <param name="ValidationLoss">In nats per token.</param>
/// <param name="BytesPerToken">Bytes of changes that workers sent, per token that they trained on.</param>
/// <param name="BytesReceivedPerToken">Bytes that workers received, all together, per token that they trained on.</param>
/// <param name="BytesOfStart">Bytes that were sent once: the plan and the first weights.</param>
/// <param name="WaitingShare">The part of the time in which a worker did not train: transfers, and waiting for others.</param>
/// <param name="Parameters">The network's weights.</param>
/// <param name="TokensPerStep">Tokens that a worker reads in a step.</param>
internal sealed record ClusterResult(
    int Workers, double TokensPerSecond, double? SteadyTokensPerSecond, double ValidationLoss, double BytesPerToken, double BytesReceivedPerToken,
    double BytesOfStart, double WaitingShare, long Parameters, double TokensPerStep);

/// <summary>The result of the verb "cluster".</summary>
internal sealed record ClusterReport(
    MachineFacts Machine, double SingleTokensPerSecond, double SingleValidationLoss, long Parameters, double SingleTokensPerStep, IReadOnlyList<ClusterResult> Workers,
    double? KilledWorkerLoss, double? KilledSiloLoss, IReadOnlyList<ClusterPrediction>? Predictions)
{
    public void Write()
    {
        Machine.Write();
        AnsiConsole.MarkupLineInterpolated($"One machine, one core: {SingleTokensPerSecond:N0} tokens/s, validation loss {SingleValidationLoss:0.000}, {Parameters:N0} weights");
        var table = new Table().AddColumns("workers", "tokens/s", "from round 2", "loss", "sent B/token", "waiting");
        ClusterResult? one = Workers.FirstOrDefault(result => result.Workers == 1);
        foreach (ClusterResult result in Workers)
        {
            table.AddRow(
                $"{result.Workers}", Times(result.TokensPerSecond, one?.TokensPerSecond), Times(result.SteadyTokensPerSecond, one?.SteadyTokensPerSecond),
                $"{result.ValidationLoss:0.000} ({result.ValidationLoss - SingleValidationLoss:+0.000;-0.000})", $"{result.BytesPerToken:0.00}", $"{result.WaitingShare:P1}");
        }

        AnsiConsole.Write(table);
        if (KilledWorkerLoss is double worker)
            AnsiConsole.MarkupLineInterpolated($"A worker killed, and another one started: validation loss {worker:0.000}");
        if (KilledSiloLoss is double silo)
            AnsiConsole.MarkupLineInterpolated($"The silo killed that held the run: validation loss {silo:0.000}");
        if (Predictions is null)
            return;
        var predicted = new Table().AddColumns("workers, computed", "Gbit/s", "tokens/s", "of the ideal");
        foreach (ClusterPrediction prediction in Predictions)
            predicted.AddRow($"{prediction.Workers}", $"{prediction.GigabitsPerSecond}", $"{prediction.TokensPerSecond:N0}", $"{prediction.Efficiency:P1}");
        AnsiConsole.Write(predicted);

        static string Times(double? rate, double? one) => one is null ? $"{rate:N0}" : $"{rate:N0} ({rate / one:0.00}x)";
    }
}

/// <summary>What a larger cluster would do, computed.</summary>
/// <param name="Workers">Its workers, each as fast as one that was measured.</param>
/// <param name="GigabitsPerSecond">The rate of every machine's link, that of the silo included.</param>
/// <param name="TokensPerSecond">Training tokens of all workers per second.</param>
/// <param name="Efficiency">This over that of as many workers which never wait.</param>
internal sealed record ClusterPrediction(int Workers, double GigabitsPerSecond, double TokensPerSecond, double Efficiency);

/// <summary>Computes larger clusters from times that were measured.</summary>
/// <remarks>A round takes the steps of a worker, and after them one after another: all differences through the silo's link, their decoding and sum there, one at a time; the
/// outer step; the change to all workers through the same link. All workers are equally fast, and nothing is done at the same time as something else.</remarks>
internal sealed class ClusterModel(double stepSeconds, double tokensPerStep, int stepsPerRound, double bytesPerDifference, double decodeSeconds, double outerSeconds)
{
    /// <summary>The steps of a round in a long run.</summary>
    public const int UsualStepsPerRound = 500;

    private static readonly int[] WorkerCounts = [8, 64, 512];
    private static readonly double[] LinkRates = [1, 10];

    /// <summary>Gets the predictions.</summary>
    public IReadOnlyList<ClusterPrediction> Predictions => [.. WorkerCounts.SelectMany(count => LinkRates.Select(rate => Predict(count, rate)))];

    /// <summary>Measures what the silo computes, on as many weights.</summary>
    public static ClusterModel Create(ClusterResult measured, int stepsPerRound)
    {
        const int Repetitions = 5;
        var random = new Random(1);
        float[] difference = [.. Enumerable.Range(0, (int)measured.Parameters).Select(_ => (float)(random.NextDouble() + random.NextDouble() - 1))];
        byte[] encoded = WeightDifference.Encode(difference, DifferenceFormat.Quantized, out _);
        var optimizer = new OuterOptimizer(1, 0, DifferenceFormat.Quantized);
        OuterWeights weights = OuterWeights.Create(new float[difference.Length]);
        double decode = Measure(() => WeightDifference.Decode(encoded, difference.Length));
        double outer = Measure(() => optimizer.Step(weights, [difference]));
        double training = measured.TokensPerSecond / measured.Workers / (1 - measured.WaitingShare);
        return new ClusterModel(measured.TokensPerStep / training, measured.TokensPerStep, stepsPerRound, encoded.Length, decode, outer);

        static double Measure(Action action)
        {
            action();
            long began = Stopwatch.GetTimestamp();
            for (int i = 0; i < Repetitions; i++)
                action();
            return Stopwatch.GetElapsedTime(began).TotalSeconds / Repetitions;
        }
    }

    /// <summary>Computes one cluster.</summary>
    public ClusterPrediction Predict(int workers, double gigabitsPerSecond)
    {
        const double BitsPerByte = 8;
        double compute = stepsPerRound * stepSeconds;
        double transfer = 2 * workers * bytesPerDifference * BitsPerByte / (gigabitsPerSecond * 1e9);
        double round = compute + transfer + workers * decodeSeconds + outerSeconds;
        return new ClusterPrediction(workers, gigabitsPerSecond, workers * stepsPerRound * tokensPerStep / round, compute / round);
    }
}
