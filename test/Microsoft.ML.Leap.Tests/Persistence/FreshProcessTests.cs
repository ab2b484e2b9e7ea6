using System.Globalization;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

/// <summary>A saved model in a process whose program knows ML.NET alone: test/Microsoft.ML.Leap.LoadOnly.</summary>
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
    public void Program_Assembly_NeverMentionsThePackage()
    {
        using var file = new PEReader(File.OpenRead(ProgramProcess.PathOf(Program)));
        MetadataReader metadata = file.GetMetadataReader();
        string[] references =
            [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
        CollectionAssert.Contains(references, "Microsoft.ML.Data");
        CollectionAssert.DoesNotContain(references, "Microsoft.ML.Leap");
        CollectionAssert.DoesNotContain(references, "TorchSharp");
    }

    private static void CompareWithFreshProcess(ITransformer model, params string[] columns)
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
            IDataView scored = model.Transform(data);
            foreach ((string name, int i) in columns.Select((name, i) => (name, i)))
            {
                int[] expected = [.. scored.GetColumn<float>(name).Select(BitConverter.SingleToInt32Bits)];
                int[] actual = [.. lines.Skip(1).Select(line => line.Split('\t')[i])
                    .Select(number => BitConverter.SingleToInt32Bits(float.Parse(number, CultureInfo.InvariantCulture)))];
                CollectionAssert.AreEqual(expected, actual, name);
            }
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
