using Microsoft.ML.Leap.Fuzz;

namespace Microsoft.ML.Leap.Tests.Fuzz;

[TestClass]
public class BundleTests
{
    private static readonly string[] _names = ["a", "b", "c"];

    [TestMethod]
    public void Read_WhatWasWritten_GivesTheFiles()
    {
        var files = new Dictionary<string, byte[]> { ["a"] = "x\n"u8.ToArray(), ["b"] = [], ["c"] = "\n\n@ @"u8.ToArray() };
        Dictionary<string, byte[]> read = Bundle.Read(Bundle.Write(files), _names);
        CollectionAssert.AreEquivalent(files.Keys, read.Keys);
        foreach ((string name, byte[] content) in files)
            CollectionAssert.AreEqual(content, read[name], name);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("@@ ")]
    [DataRow("@@ a")]
    [DataRow("@@ ../a\nx")]
    [DataRow("x\n@@ d\ny")]
    public void Read_OtherInput_GivesNoFiles(string input) =>
        Assert.IsEmpty(Bundle.Read(System.Text.Encoding.ASCII.GetBytes(input), _names));
}
