using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Leap;
using Microsoft.ML.Leap.Tests;
using Parquet;
using Parquet.Schema;

namespace Leap.Tool.Tests;

[TestClass]
public sealed class ScoreCommandTests : ToolTest
{
    [TestMethod]
    public void Score_Lines_AreTheLibrarysScores()
    {
        string path = Write("a.txt", string.Join('\n', TinyModel.Texts) + "\n\n");

        string[] lines = ToolRun.Good("score", Model, path).Lines;

        Assert.AreEqual("text\tLogLikelihood\tTokenCount\tPerplexity", lines[0]);
        for (int i = 0; i < TinyModel.Texts.Length; i++)
        {
            TextScore expected = TrainedModel.Transformer.Model.Score(TinyModel.Texts[i]);
            string[] fields = lines[i + 1].Split('\t');
            Assert.AreEqual(TinyModel.Texts[i], fields[0]);
            Assert.AreEqual(expected.LogLikelihood, double.Parse(fields[1], CultureInfo.InvariantCulture), 1e-9);
            Assert.AreEqual(expected.TokenCount.ToString(CultureInfo.InvariantCulture), fields[2]);
            Assert.AreEqual(expected.Perplexity, double.Parse(fields[3], CultureInfo.InvariantCulture), 1e-9);
        }

        Assert.AreEqual("\t\t0\t", lines[^1], "a text without tokens has no score");
    }

    [TestMethod]
    public void Score_Csv_GivesItsFieldsBack()
    {
        string path = Write("a.csv", "id,body,note\n1,\"a, dog\",\"two\nlines\"\n2,x,\n");

        string output = ToolRun.Good("score", Model, path, "--column", "body").Output;

        StringAssert.StartsWith(output, "id,body,note,LogLikelihood,TokenCount,Perplexity\n1,\"a, dog\",\"two\nlines\",-");
        StringAssert.Contains(output, "\n2,x,,-");
    }

    [TestMethod]
    public void Score_Jsonl_KeepsValuesAsTheyStand()
    {
        string path = Write("a.jsonl", "{\"text\":\"größe\",\"n\":1.50,\"o\":{\"a\":[1]}}\n{\"text\":null}\n");

        string[] lines = ToolRun.Good("score", Model, path).Lines;

        StringAssert.StartsWith(lines[0], "{\"text\":\"größe\",\"n\":1.50,\"o\":{\"a\":[1]},\"LogLikelihood\":-");
        Assert.AreEqual("{\"text\":null,\"LogLikelihood\":null,\"TokenCount\":0,\"Perplexity\":null}", lines[1]);
    }

    [TestMethod]
    public async Task Score_Parquet_KeepsTypesAndLeavesListsOut()
    {
        string path = PathOf("a.parquet"), scored = PathOf("b.parquet");
        await WriteParquetAsync(path);

        ToolRun run = ToolRun.Good("score", Model, path, "-o", scored);

        StringAssert.Contains(run.Errors, "'list' is nested");
        await using ParquetReader reader = await ParquetReader.CreateAsync(scored);
        CollectionAssert.AreEqual(
            new[] { "text", "number", "when", "LogLikelihood", "TokenCount", "Perplexity" }, reader.Schema.Fields.Select(field => field.Name).ToArray());
        using ParquetRowGroupReader group = reader.OpenRowGroupReader(0);
        var numbers = new int?[3];
        var likelihoods = new double?[3];
        await group.ReadAsync<int>(reader.Schema.DataFields[1], numbers);
        await group.ReadAsync<double>(reader.Schema.DataFields[3], likelihoods);
        CollectionAssert.AreEqual(new int?[] { 1, null, 3 }, numbers);
        Assert.AreEqual(TrainedModel.Transformer.Model.Score("a dog").LogLikelihood, likelihoods[0]!.Value, 1e-9);
        Assert.IsNull(likelihoods[2], "a row without text");

        string[] lines = ToolRun.Good("score", Model, scored, "--prefix", "X", "--json").Lines;
        JsonElement second = JsonElement.Parse(lines[1]);
        Assert.AreEqual(JsonValueKind.Null, second.GetProperty("number").ValueKind);
        Assert.AreEqual(second.GetProperty("Perplexity").GetDouble(), second.GetProperty("XPerplexity").GetDouble());
    }

    [TestMethod]
    public void Score_JsonlToParquet_TypesFitTheValues()
    {
        string path = Write("a.jsonl", "{\"text\":\"a\",\"n\":1,\"m\":1,\"o\":{}}\n{\"text\":\"b\",\"n\":2,\"m\":1.5,\"o\":null}\n"), output = PathOf("b.parquet");
        ToolRun.Good("score", Model, path, "-o", output);

        string[] lines = ToolRun.Good("score", Model, output, "--prefix", "X", "--json").Lines;

        StringAssert.StartsWith(lines[0], "{\"text\":\"a\",\"n\":1,\"m\":1,\"o\":\"{}\",");
        StringAssert.StartsWith(lines[1], "{\"text\":\"b\",\"n\":2,\"m\":1.5,\"o\":null,");
    }

    [TestMethod]
    public void Score_Top_TheStrangestFirst()
    {
        string[] texts = [.. TinyModel.Texts, "", "zzqq ~~~ zzqq", "the cat"];
        string path = Write("a.txt", string.Join('\n', texts));

        string[] found = [.. ToolRun.Good("score", Model, path, "--top", "3").Lines.Skip(1).Select(line => line.Split('\t')[0])];

        string[] expected = [.. texts.Where(text => text.Length > 0).OrderByDescending(text => TrainedModel.Transformer.Model.Score(text).Perplexity).Take(3)];
        CollectionAssert.AreEqual(expected, found);
    }

    [TestMethod]
    [DataRow("csv")]
    [DataRow("jsonl")]
    public void Score_Shards_JoinedAreOneRunsOutput(string format)
    {
        string path = Write("a.csv", "text,n\n" + string.Concat(Enumerable.Range(0, 40).Select(i => $"\"row {i},\n{new string('y', i)}\",{i}\n")));
        string whole = ToolRun.Good("score", Model, path, "--to", format).Output;
        string output = PathOf($"out.{format}");

        for (int i = 1; i <= 7; i++)
            ToolRun.Good("score", Model, path, "-o", output, "--shard", $"{i}/7");

        string[] files = [.. Directory.GetFiles(Folder, "out-*").Order(StringComparer.Ordinal)];
        Assert.HasCount(7, files);
        Assert.AreEqual(whole, string.Concat(files.Select(File.ReadAllText)));
    }

    [TestMethod]
    public void Score_ShardIsThere_IsNotDoneAgain()
    {
        string path = Write("a.txt", "one\ntwo\n"), done = Write("out-00001-of-00002.tsv", "whatever");

        ToolRun run = ToolRun.Good("score", "no model is needed", path, "-o", PathOf("out.tsv"), "--shard", "1/2");

        StringAssert.Contains(run.Errors, "is there already");
        Assert.AreEqual("whatever", File.ReadAllText(done));
    }

    [TestMethod]
    public void Score_FaultAfterRows_LeavesTheOldFile()
    {
        string path = Write("a.jsonl", "{\"text\":\"a\"}\nnonsense\n"), output = Write("out.jsonl", "old");

        ToolRun.Bad(1, "line 2", "score", Model, path, "-o", output);

        Assert.AreEqual("old", File.ReadAllText(output));
        Assert.IsEmpty(Directory.GetFiles(Folder, "*.part"));
    }

    [TestMethod]
    public void Score_PartBeginsAnew_AfterAKill()
    {
        string path = Write("a.txt", "one\n"), output = PathOf("out.tsv");
        Write("out.tsv.part", "the remains of a process that was killed, longer than what comes");

        ToolRun.Good("score", Model, path, "-o", output);

        StringAssert.StartsWith(File.ReadAllText(output), "text\t");
        Assert.HasCount(2, File.ReadAllLines(output));
    }

    [TestMethod]
    public void Score_TwoAtOnce_TheSecondIsRefused()
    {
        string path = Write("a.txt", "one\n"), output = PathOf("out.tsv");
        using (File.Open(output + ".part", FileMode.Create, FileAccess.ReadWrite, FileShare.None))
            ToolRun.Bad(1, "another process", "score", Model, path, "-o", output);

        Assert.IsFalse(File.Exists(output));
    }

    [TestMethod]
    public async Task Score_Cancelled_StopsInOneSentence()
    {
        string path = Write("a.txt", "one\n"), output = PathOf("out.tsv");

        ToolRun run = await ToolRun.RunAsync(new CancellationToken(canceled: true), "score", Model, path, "-o", output);

        Assert.AreEqual(1, run.ExitCode);
        Assert.AreEqual("leap: Stopped.", run.Errors.Trim());
        Assert.IsFalse(File.Exists(output) || File.Exists(output + ".part"));
    }

    [TestMethod]
    public void Score_OutputIsAnInput_IsRefused()
    {
        string path = Write("a.csv", "text\none\n");

        ToolRun.Bad(2, "one of the files to read", "score", Model, path, "-o", path);
        ToolRun.Bad(2, "the model itself", "score", Model, path, "-o", Model);
        Assert.AreEqual("text\none\n", File.ReadAllText(path));
    }

    [TestMethod]
    public void Score_WrongUsage_Exits2()
    {
        string path = Write("a.txt", "one\n"), csv = Write("a.csv", "Perplexity,text\n1,2\n");

        ToolRun.Bad(2, "'MODEL'", "score");
        ToolRun.Bad(2, "--top must be a whole number, but is 'x'", "score", Model, path, "--top", "x");
        ToolRun.Bad(2, "--top must be at least 1", "score", Model, path, "--top", "0");
        ToolRun.Bad(2, "--to must be one of", "score", Model, path, "--to", "xml");
        ToolRun.Bad(2, "plain text", "score", Model, path, "--to", "text");
        ToolRun.Bad(2, "--output", "score", Model, path, "--to", "parquet");
        ToolRun.Bad(2, "--output", "score", Model, path, "--shard", "1/2");
        ToolRun.Bad(2, "do not go together", "score", Model, path, "--shard", "1/2", "-o", PathOf("o.tsv"), "--top", "1");
        ToolRun.Bad(2, "no shards", "score", Model, "-", "--shard", "1/2", "-o", PathOf("o.tsv"));
        ToolRun.Bad(2, "is a folder", "score", Model, path, "--to", "tsv", "-o", Folder);
        ToolRun.Bad(2, "'Perplexity' already", "score", Model, csv);
        ToolRun.Bad(2, "contradict", "score", Model, path, "--document", "--format", "csv");
        ToolRun.Bad(1, "nowhere", "score", Path.Combine(Folder, "nowhere"), path);
        ToolRun.Bad(1, "zip", "score", path, path);
    }

    private static async Task WriteParquetAsync(string path)
    {
        var text = new DataField<string>("text");
        var number = new DataField<int?>("number");
        var when = new DataField<DateTime>("when");
        var list = new DataField<int[]>("list");
        await using FileStream file = File.Create(path);
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(new ParquetSchema(text, number, when, list), file);
        using ParquetRowGroupWriter group = writer.CreateRowGroup();
        await group.WriteAsync(text, ["a dog", "x", null!]);
        await group.WriteAsync<int>(number, new int?[] { 1, null, 3 });
        await group.WriteAsync<DateTime>(when, new DateTime[] { new(2026, 1, 2, 0, 0, 0, DateTimeKind.Utc), new(2026, 1, 3, 0, 0, 0, DateTimeKind.Utc), new(2026, 1, 4, 0, 0, 0, DateTimeKind.Utc) });
        await group.WriteAllPartsAsync<int>(list, new int[] { 1, 2, 3 }, new int[] { 1, 1, 1 }, new int[] { 0, 0, 0 }, default);
        group.CompleteValidate();
    }
}
