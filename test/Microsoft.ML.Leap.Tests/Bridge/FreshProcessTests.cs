using System.Globalization;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

/// <summary>A saved model in a process whose program knows ML.NET alone and has no native backend: test/Microsoft.ML.Leap.LoadOnly.</summary>
[TestClass]
public class FreshProcessTests
{
    private const string Program = "Microsoft.ML.Leap.LoadOnly";

    private static readonly MLContext Context = new(1);

    [TestMethod]
    public void Load_ModelAlone_GivesTheSameBits()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(Context);
        CompareWithFreshProcess(model, "LogLikelihood", "Perplexity");
    }

    [TestMethod]
    public void Load_PipelineWithStepsAround_GivesTheSameBits()
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.TextColumnName = "Clean";
        options.Tokenizer = TokenizerOptions.ByteLevelBpe(300);
        var pipeline = Context.Transforms.Text.NormalizeText("Clean", "Text")
            .Append(Context.Leap().LanguageModel(options))
            .Append(Context.Transforms.CopyColumns("Rank", "Perplexity"))
            .Append(Context.Transforms.NormalizeMinMax("Rank"));
        using var model = pipeline.Fit(TinyModel.View(Context, TinyModel.Texts));

        CompareWithFreshProcess(model, "LogLikelihood", "Perplexity", "Rank");
    }

    [TestMethod]
    public void Load_AllColumns_ScoresGeneratesAndExplainsWithoutTorch()
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.GeneratedTextColumnName = "GeneratedText";
        options.Generation = new GenerationOptions { MaximumNewTokens = 5, Seed = 3, PositionPolicy = PositionPolicy.Restart };
        options.FocusWeightsColumnName = "FocusWeights";
        options.TokenLogLikelihoodsColumnName = "TokenLogLikelihoods";
        options.EmbeddingColumnName = "Embedding";
        using LeapLanguageModelTransformer model = Context.Leap().LanguageModel(options).Fit(TinyModel.View(Context, TinyModel.Texts));

        string[][] rows = CompareWithFreshProcess(
            model, "LogLikelihood", "Perplexity", "GeneratedText", "FocusWeights", "TokenLogLikelihoods", "Embedding");

        IDataView scored = model.Transform(TinyModel.View(Context, TinyModel.Texts));
        string[] generated = [.. scored.GetColumn<ReadOnlyMemory<char>>("GeneratedText").Select(text => text.ToString())];
        CollectionAssert.AreEqual(generated, rows.Take(generated.Length).Select(row => Uri.UnescapeDataString(row[2])).ToArray());
        foreach ((string name, int column) in new[] { ("FocusWeights", 3), ("TokenLogLikelihoods", 4), ("Embedding", 5) })
        {
            float[][] expected = [.. scored.GetColumn<VBuffer<float>>(name).Select(values => values.DenseValues().ToArray())];
            for (int i = 0; i < expected.Length; i++)
            {
                float[] actual = [.. rows[i][column].Split(' ').Select(number => float.Parse(number, CultureInfo.InvariantCulture))];
                CollectionAssert.AreEqual(expected[i], actual, name);
            }
        }
    }

    [TestMethod]
    public void Program_Assembly_NeverMentionsThePackage()
    {
        using var file = new PEReader(File.OpenRead(ProgramProcess.GetPath(Program)));
        MetadataReader metadata = file.GetMetadataReader();
        string[] references =
            [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
        CollectionAssert.Contains(references, "Microsoft.ML.Data");
        CollectionAssert.DoesNotContain(references, "Microsoft.ML.Leap");
        CollectionAssert.DoesNotContain(references, "TorchSharp");
    }

    private static string[][] CompareWithFreshProcess(ITransformer model, params string[] columns)
    {
        string[] texts = [.. TinyModel.Texts, "never seen: 123 \"quoted\" \\ Ünïcode"];
        IDataView data = Context.Data.LoadFromEnumerable(texts.Select(text => new TextOnly { Text = text }));
        string path = Path.GetTempFileName();
        try
        {
            Context.Model.Save(model, data.Schema, path);
            string[] lines = ProgramProcess.Run(Program, "", [path, .. texts])
                .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

            Assert.AreEqual(string.Join('\t', columns), lines[0]);
            Assert.AreEqual("torch's libraries: none", lines[^1]);
            string[][] rows = [.. lines[1..^1].Select(line => line.Split('\t'))];
            IDataView scored = model.Transform(data);
            foreach ((string name, int i) in columns.Select((name, i) => (name, i)).Where(column => scored.Schema[column.name].Type.Equals(NumberDataViewType.Single)))
            {
                int[] expected = [.. scored.GetColumn<float>(name).Select(BitConverter.SingleToInt32Bits)];
                int[] actual = [.. rows.Select(row => BitConverter.SingleToInt32Bits(float.Parse(row[i], CultureInfo.InvariantCulture)))];
                CollectionAssert.AreEqual(expected, actual, name);
            }

            return rows;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private sealed class TextOnly
    {
        public string Text { get; set; } = "";
    }
}
