using Microsoft.ML.Leap.Benchmarks;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class JsonReportTests
{
    [TestMethod]
    public void Write_OverAnOlderFile_ReplacesItByIndentedCamelCase()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "new", "out.json");
        JsonReport.Write(path, new { Old = 1 });

        JsonReport.Write(path, new { ValidationLoss = new[] { 1.5 }, Name = "é", Absent = (int?)null });

        string expected = """
            {
              "validationLoss": [
                1.5
              ],
              "name": "é"
            }

            """;
        Assert.AreEqual(expected.ReplaceLineEndings("\n"), File.ReadAllText(path).ReplaceLineEndings("\n"));
        Assert.HasCount(1, folder.Files);
    }
}
