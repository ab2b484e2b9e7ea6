using System.Reflection;

namespace Microsoft.ML.Leap.Tests;

/// <summary>The library calls members that ML.NET keeps internal: if one is gone, this says which, before a user meets a
/// <see cref="MissingMemberException"/>.</summary>
[TestClass]
public class OpenAccessTests
{
    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    [TestMethod]
    public void OpenedMembers_OfTheLoadedMicrosoftMLCore_AllExist()
    {
        string[] entries =
        [
            .. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Opened", "Microsoft.ML.Core.txt"))
                .Select(line => line.Trim())
                .Where(line => line.Length > 0 && line[0] != '#'),
        ];
        Assert.IsGreaterThan(5, entries.Length);
        string[] missing = [.. entries.Where(entry => !Exists(entry))];
        Assert.IsEmpty(missing, $"Microsoft.ML.Core {typeof(SchemaShape).Assembly.GetName().Version} lacks {string.Join(", ", missing)}");
    }

    [TestMethod]
    [DataRow("Microsoft.ML.NoSuchType")]
    [DataRow("Microsoft.ML.SchemaShape+Column::NoSuchMember")]
    public void Exists_AnUnknownEntry_IsFalse(string entry) => Assert.IsFalse(Exists(entry));

    private static bool Exists(string entry)
    {
        string[] parts = entry.Split("::");
        Type? type = typeof(SchemaShape).Assembly.GetType(parts[0]);
        return type is not null && (parts.Length == 1 || type.GetMember(parts[1], Everything).Length > 0);
    }
}
