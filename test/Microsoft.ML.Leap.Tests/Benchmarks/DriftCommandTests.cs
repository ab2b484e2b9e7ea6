using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class DriftCommandTests
{
    private static readonly string[] Tiny = ["--layers", "3", "--hidden", "12", "--heads", "2", "--vocabulary", "40", "--focus", "3"];

    [TestMethod]
    [DataRow(1e-5, "--convolution", "0", "--windows")]
    [DataRow(1e-5, "--convolution", "4", "--windows")]
    [DataRow(5e-5, "--convolution", "4")]
    public void Drift_OfAShortStream_EndsWithTheLargestErrorOfTheMeans(double most, params string[] network)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "drift.json");

        // Its first use keeps the console of that moment for ever.
        _ = Spectre.Console.AnsiConsole.Console;
        using var output = new StringWriter();
        TextWriter before = Console.Out;
        Console.SetOut(output);
        int code;
        try
        {
            code = DriftCommand.Create().Parse(["--json", path, "--steps", "2500", .. network, .. Tiny]).Invoke();
        }
        finally
        {
            Console.SetOut(before);
        }

        Assert.AreEqual(0, code);
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        JsonArray checkpoints = json["checkpoints"]!.AsArray();
        CollectionAssert.AreEqual(new[] { 1000, 2500 }, checkpoints.Select(row => (int)row!["step"]!).ToArray());
        double largest = checkpoints.Max(row => row!["meansErrors"]!.AsArray().Max(error => (double)error!));
        Assert.IsTrue(largest > 0 && largest < most, $"{largest}");
        Assert.IsTrue(checkpoints.All(row => (double)row!["logitsError"]! is > 0 and < 1e-4));
        string last = output.ToString().TrimEnd().Split('\n')[^1];
        StringAssert.StartsWith(last, "max error ", StringComparison.Ordinal);
        Assert.AreEqual(largest, double.Parse(last["max error ".Length..], CultureInfo.InvariantCulture), 0.01 * largest);
    }

    [TestMethod]
    public void Write_AfterOtherTokens_IsNotTheExactMeans()
    {
        using LeapModel model = DriftNetwork.Create(2, 12, 2, 40, convolutionSize: 4, useForgetGates: true, focusSize: 3, seed: 1);
        using var exact = new DoubleNetwork(model);
        using var network = new LeapNetwork(model.Config, model.GetWeights());
        using NetworkState state = network.CreateState();
        using var scope = TorchSharp.torch.NewDisposeScope();
        float[] means = new float[12];
        int[] ids = [1, 2, 3, 4, 5, 6, 7];
        exact.Read(ids);
        network.Read([1, 2, 3, 4, 5, 6, 8], state, new float[12]);

        StateMeans.Write(state, model.Config, 0, means);
        var errors = default(ErrorRange);
        errors.Add(exact.Means(0, 6), means);

        Assert.IsTrue(errors.Largest > 1e-2, "other tokens have other means");
    }

    [TestMethod]
    public void Next_OfTheCompensatedSums_KeepsWhatPlainSumsLose()
    {
        var sums = new CompensatedRowSums(1);
        double[] sum = [0];
        foreach (double value in (double[])[1e17, 1, 1, -1e17])
            sums.Next([value], sum);
        Assert.AreEqual(2, sum[0]);
    }

    [TestMethod]
    public void Next_OfTheDirectSums_IsTheSumOfTheWindow()
    {
        var sums = new DirectRowSums(3, 2);
        double[] sum = [0, 0];
        for (int i = 1; i <= 8; i++)
        {
            sums.Next([i, -i], sum);
            double expected = Enumerable.Range(1, i).TakeLast(3).Sum();
            CollectionAssert.AreEqual(new[] { expected, -expected }, sum);
        }
    }

    [TestMethod]
    public void Add_NotANumber_StaysTheLargestError()
    {
        var errors = default(ErrorRange);
        errors.Add([1, 2], [float.NaN, 2]);
        Assert.IsTrue(double.IsNaN(errors.Largest));
    }
}
