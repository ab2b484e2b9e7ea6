using Microsoft.ML.Data;
using VectorKind = Microsoft.ML.SchemaShape.Column.VectorKind;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SchemaColumnsTests
{
    [TestMethod]
    public void Create_Column_HasWhatWasPromised()
    {
        var annotations = new SchemaShape([SchemaColumns.Create("SlotNames", VectorKind.Vector, TextDataViewType.Instance)]);
        SchemaShape.Column column = SchemaColumns.Create("x", VectorKind.VariableVector, NumberDataViewType.Single, annotations: annotations);

        Assert.AreEqual("x", column.Name);
        Assert.AreEqual(VectorKind.VariableVector, column.Kind);
        Assert.AreEqual(NumberDataViewType.Single, column.ItemType);
        Assert.IsFalse(column.IsKey);
        Assert.AreSame(annotations, column.Annotations);
        Assert.IsEmpty(SchemaColumns.Create("y", VectorKind.Scalar, NumberDataViewType.Single).Annotations);
    }

    [TestMethod]
    public void Create_OfType_HasItsKind()
    {
        Assert.AreEqual("Single", SchemaColumns.Describe(SchemaColumns.Create("a", NumberDataViewType.Single)));
        Assert.AreEqual("vector of Single", SchemaColumns.Describe(SchemaColumns.Create("a", new VectorDataViewType(NumberDataViewType.Single, 3))));
        Assert.AreEqual(
            "variable-size vector of String", SchemaColumns.Describe(SchemaColumns.Create("a", new VectorDataViewType(TextDataViewType.Instance))));
    }

    [TestMethod]
    public void TryFind_ByName_FindsExactlyThat()
    {
        var schema = new SchemaShape(
        [
            SchemaColumns.Create("a", VectorKind.Scalar, TextDataViewType.Instance),
            SchemaColumns.Create("b", VectorKind.Scalar, NumberDataViewType.Int32),
        ]);

        Assert.IsTrue(SchemaColumns.TryFind(schema, "b", out SchemaShape.Column found));
        Assert.AreEqual(NumberDataViewType.Int32, found.ItemType);
        Assert.IsFalse(SchemaColumns.TryFind(schema, "B", out _));
    }

    [TestMethod]
    public void Describe_EveryKind_ReadsWell()
    {
        Assert.AreEqual("String", SchemaColumns.Describe(SchemaColumns.Create("a", VectorKind.Scalar, TextDataViewType.Instance)));
        Assert.AreEqual("vector of Single", SchemaColumns.Describe(SchemaColumns.Create("a", VectorKind.Vector, NumberDataViewType.Single)));
        Assert.AreEqual(
            "variable-size vector of key of UInt32",
            SchemaColumns.Describe(SchemaColumns.Create("a", VectorKind.VariableVector, NumberDataViewType.UInt32, isKey: true)));
    }
}
