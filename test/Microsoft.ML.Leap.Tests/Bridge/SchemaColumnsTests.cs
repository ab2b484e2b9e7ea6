using Microsoft.ML.Data;
using VectorKind = Microsoft.ML.SchemaShape.Column.VectorKind;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class SchemaColumnsTests
{
    [TestMethod]
    public void Create_OfType_HasItsKindAndItem()
    {
        Require(VectorKind.Scalar, NumberDataViewType.Single, NumberDataViewType.Single);
        Require(VectorKind.Vector, NumberDataViewType.Single, new VectorDataViewType(NumberDataViewType.Single, 3));
        Require(VectorKind.VariableVector, TextDataViewType.Instance, new VectorDataViewType(TextDataViewType.Instance));
    }

    private static void Require(VectorKind kind, DataViewType itemType, DataViewType type)
    {
        SchemaShape.Column column = SchemaColumns.Create("x", type);

        Assert.AreEqual("x", column.Name);
        Assert.AreEqual(kind, column.Kind);
        Assert.AreEqual(itemType, column.ItemType);
        Assert.IsFalse(column.IsKey);
        Assert.IsEmpty(column.Annotations);
    }
}
