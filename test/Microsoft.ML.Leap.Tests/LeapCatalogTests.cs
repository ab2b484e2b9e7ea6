using Microsoft.ML.Data;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class LeapCatalogTests
{
    [TestMethod]
    public void Save_OverAnOlderModel_IsWhatMlNetReads()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.zip");
        File.WriteAllText(path, "older");

        TrainedModel.Context.Leap().Save(TrainedModel.Transformer, TinyModel.View(TrainedModel.Context, "a").Schema, path);

        using var loaded = (LeapLanguageModelTransformer)new MLContext().Model.Load(path, out DataViewSchema schema);
        Assert.IsNotNull(schema.GetColumnOrNull("Text"));
        Assert.AreEqual(TrainedModel.Transformer.Model.Score("the cat"), loaded.Model.Score("the cat"));
        Assert.HasCount(1, folder.Files);
    }

    [TestMethod]
    public void Save_Fails_LeavesTheOlderModelAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.zip");
        File.WriteAllText(path, "older");

        Assert.ThrowsExactly<IOException>(() => new MLContext().Leap().Save(new FailingTransformer(), null, path));

        Assert.AreEqual("older", File.ReadAllText(path));
        Assert.HasCount(1, folder.Files);
    }

    [TestMethod]
    public void Save_NoFolder_SaysSo()
    {
        using var folder = new TemporaryFolder();
        Assert.ThrowsExactly<DirectoryNotFoundException>(
            () => TrainedModel.Context.Leap().Save(TrainedModel.Transformer, null, Path.Combine(folder.Path, "none", "model.zip")));
        Assert.ThrowsExactly<ArgumentNullException>(() => TrainedModel.Context.Leap().Save(null!, null, "model.zip"));
        Assert.ThrowsExactly<ArgumentException>(() => TrainedModel.Context.Leap().Save(TrainedModel.Transformer, null, ""));
    }

    private sealed class FailingTransformer : ITransformer
    {
        public bool IsRowToRowMapper => false;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        public IDataView Transform(IDataView input) => input;

        public void Save(ModelSaveContext ctx) => throw new IOException("No space left on device");
    }
}
