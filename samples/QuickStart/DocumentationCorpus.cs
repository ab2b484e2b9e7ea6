using System.Runtime.InteropServices;
using System.Text;
using System.Xml.Linq;

namespace QuickStart;

/// <summary>A corpus that is on every machine with a .NET SDK: the texts of the framework's own XML documentation.</summary>
internal static class DocumentationCorpus
{
    private static readonly string[] Elements = ["summary", "param", "returns"];

    /// <summary>Gives every distinct text of a summary, parameter or return value, in the order of the files.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no SDK beside the runtime.</exception>
    public static IReadOnlyList<string> Read()
    {
        string packs = Path.GetFullPath(Path.Combine(
            RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref"));
        if (!Directory.Exists(packs))
            throw new DirectoryNotFoundException($"{packs} does not exist: no .NET SDK is installed beside this runtime. Give a text file as argument instead.");

        var texts = new HashSet<string>(StringComparer.Ordinal);
        List<string> ordered = [];
        foreach (string file in Directory.EnumerateFiles(packs, "*.xml", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            foreach (XElement element in XDocument.Load(file).Descendants().Where(element => Elements.Contains(element.Name.LocalName)))
            {
                string text = Flatten(element);
                if (text.Length > 0 && texts.Add(text))
                    ordered.Add(text);
            }
        }

        return ordered;
    }

    private static string Flatten(XElement element)
    {
        var builder = new StringBuilder();
        foreach (XNode node in element.DescendantNodes())
        {
            if (node is XText text)
                builder.Append(text.Value);
            else if (node is XElement { IsEmpty: true } reference)
                builder.Append(GetName(reference));
        }

        return string.Join(' ', builder.ToString().Split(null as char[], StringSplitOptions.RemoveEmptyEntries));
    }

    // <see cref="M:System.String.Trim(System.Char)"/> reads as Trim, <paramref name="value"/> as value.
    private static string GetName(XElement reference)
    {
        string name = (reference.Attribute("cref") ?? reference.Attribute("name") ?? reference.Attribute("langword"))?.Value ?? " ";
        return name.Split('(')[0].Split('.', ':')[^1].Split('`')[0];
    }
}
