using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapLanguageModelTransformerTests
{
    [TestMethod]
    public void PredictionEngine_RowByRow_AgreesWithTheView()
    {
        ScoredRowView[] expected = TrainedModel.Score(TinyModel.Texts);
        using PredictionEngine<Row, ScoredRowView> engine = TrainedModel.Context.Model.CreatePredictionEngine<Row, ScoredRowView>(
            TrainedModel.Transformer, new PredictionEngineOptions { OwnsTransformer = false });
        for (int i = 0; i < expected.Length; i++)
        {
            ScoredRowView actual = engine.Predict(new Row { Text = TinyModel.Texts[i] });
            Assert.AreEqual(expected[i].LogLikelihood, actual.LogLikelihood, 1e-5 * Math.Abs(expected[i].LogLikelihood));
            Assert.AreEqual(expected[i].TokenCount, actual.TokenCount);
        }

        Assert.IsTrue(float.IsNaN(engine.Predict(new Row { Text = null! }).Perplexity));
    }

    [TestMethod]
    public void GetRowToRowMapper_GivesTheSchemaThatWentIn()
    {
        DataViewSchema schema = TinyModel.View(TrainedModel.Context, "a").Schema;
        IRowToRowMapper mapper = TrainedModel.Transformer.GetRowToRowMapper(schema);
        Assert.AreSame(schema, mapper.InputSchema);
        CollectionAssert.AreEqual(
            new[] { "Text" }, mapper.GetDependencies([mapper.OutputSchema["Perplexity"]]).Select(column => column.Name).ToArray());
        CollectionAssert.AreEqual(
            new[] { "Number" }, mapper.GetDependencies([mapper.OutputSchema["Number"]]).Select(column => column.Name).ToArray());
        Assert.IsTrue(TrainedModel.Transformer.IsRowToRowMapper);
    }

    [TestMethod]
    public void Pipeline_WithStepsBeforeAndAfter_TrainsScoresAndFilters()
    {
        LeapLanguageModelTrainer.Options options = TinyModel.Options();
        options.TextColumnName = "Clean";
        IDataView data = TrainedModel.Context.Data.LoadFromEnumerable(TinyModel.Texts.Select(text => new { Raw = text.ToUpperInvariant() }));
        var pipeline = TrainedModel.Context.Transforms.Text.NormalizeText("Clean", "Raw")
            .Append(TrainedModel.Context.Leap().LanguageModel(options))
            .Append(TrainedModel.Context.Transforms.CopyColumns("Rank", "Perplexity"))
            .Append(TrainedModel.Context.Transforms.NormalizeMinMax("Rank"));

        using var model = pipeline.Fit(data);
        IDataView kept = TrainedModel.Context.Data.FilterRowsByColumn(model.Transform(data), "Rank", upperBound: 0.99);

        float[] ranks = [.. kept.GetColumn<float>("Rank")];
        Assert.IsTrue(ranks.Length > 0 && ranks.Length < TinyModel.Texts.Length);
        Assert.IsTrue(ranks.All(rank => rank is >= 0 and < 0.99f));
    }

    [TestMethod]
    public void CrossValidation_EachFold_TrainsAndEvaluates()
    {
        IDataView data = TinyModel.View(TrainedModel.Context, [.. TinyModel.Texts, .. TinyModel.Texts.Select(text => text + "!")]);
        foreach (DataOperationsCatalog.TrainTestData fold in TrainedModel.Context.Data.CrossValidationSplit(data, numberOfFolds: 2, seed: 1))
        {
            using LeapLanguageModelTransformer model = TrainedModel.Context.Leap().LanguageModel(TinyModel.Options()).Fit(fold.TrainSet);
            LanguageModelMetrics metrics = TrainedModel.Context.Leap().Evaluate(model.Transform(fold.TestSet));
            Assert.IsTrue(metrics.Perplexity is > 1 and < 1000);
        }
    }

    [TestMethod]
    public void Evaluate_OfView_SumsItsRows()
    {
        string[] texts = ["a dog ran", "the  cat", ""];
        ScoredRowView[] rows = TrainedModel.Score(texts);
        LanguageModelMetrics metrics = TrainedModel.Transformer.Evaluate(TinyModel.View(TrainedModel.Context, texts));
        double sum = rows[0].LogLikelihood + (double)rows[1].LogLikelihood;
        Assert.AreEqual(17, metrics.TokenCount);
        Assert.AreEqual(5, metrics.WordCount);
        Assert.AreEqual(17, metrics.ByteCount);
        Assert.AreEqual(-sum / 17, metrics.CrossEntropy, 1e-6);
        Assert.AreEqual(-sum / 17 / Math.Log(2), metrics.BitsPerByte, 1e-6);
        Assert.AreEqual(Math.Exp(-sum / 5), metrics.WordPerplexity, Math.Exp(-sum / 5) * 1e-6);
    }

    [TestMethod]
    public void Evaluate_AddedColumnHidesTheText_CountsTheScoredTexts()
    {
        using LeapLanguageModelTransformer model = TinyModel.Fit(TrainedModel.Context, options => options.GeneratedTextColumnName = "Text");
        IDataView data = TinyModel.View(TrainedModel.Context, "a dog ran", "the  cat", "");

        foreach (LanguageModelMetrics metrics in (LanguageModelMetrics[])[model.Evaluate(data), TrainedModel.Context.Leap().Evaluate(model.Transform(data))])
        {
            Assert.AreEqual(5, metrics.WordCount);
            Assert.AreEqual(17, metrics.ByteCount);
            Assert.IsFalse(double.IsNaN(metrics.BigramPerplexity));
        }
    }

    [TestMethod]
    public void Evaluate_ViewNotScored_SaysSo() => StringAssert.Contains(
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TrainedModel.Context.Leap().Evaluate(TinyModel.View(TrainedModel.Context, "a"))).Message, "LogLikelihood");

    [TestMethod]
    public void Dispose_Twice_ThenUse_SaysDisposed()
    {
        LeapLanguageModelTransformer model = TinyModel.Fit(TrainedModel.Context);
        IDataView data = TinyModel.View(TrainedModel.Context, "a");
        model.Dispose();
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Transform(data));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Generate("a"));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Explain("a"));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.GetRowToRowMapper(data.Schema));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Evaluate(data));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.SavePretrained("x"));
    }

    [TestMethod]
    public void Transform_SchemaWithoutTheColumn_IsRefusedAtOnce()
    {
        IDataView data = TrainedModel.Context.Data.LoadFromEnumerable([new { Words = "a" }]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TrainedModel.Transformer.Transform(data));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TrainedModel.Transformer.GetOutputSchema(data.Schema));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TrainedModel.Transformer.GetRowToRowMapper(data.Schema));
    }
}
