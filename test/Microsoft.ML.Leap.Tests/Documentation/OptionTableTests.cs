using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Tests.Documentation;

/// <summary>A page that lists options lists all of them, with their real types and defaults.</summary>
[TestClass]
public partial class OptionTableTests
{
    [TestMethod]
    [DataRow("docs/pipelines.md", typeof(LeapLanguageModelTrainer.Options))]
    [DataRow("docs/generation.md", typeof(GenerationOptions))]
    [DataRow("docs/evaluation.md", typeof(EvaluationOptions))]
    public void Table_OfPage_ListsEachOptionWithItsTypeAndDefault(string page, Type optionsType)
    {
        object options = Activator.CreateInstance(optionsType)!;
        string[] expected = [.. Members(optionsType).Select(member => $"{member.Name} | {TypeName(member)} | {Default(Value(member, options))}")];
        string[] listed =
        [
            .. OptionRow().Matches(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Pages", page)))
                .Select(row => string.Join(" | ", row.Groups[1].Value, row.Groups[2].Value, row.Groups[3].Value.Trim('`'))),
        ];

        CollectionAssert.AreEquivalent(
            expected, listed,
            $"{page}: not listed: {string.Join("; ", expected.Except(listed))}. Not so in the code: {string.Join("; ", listed.Except(expected))}.");
    }

    private static IEnumerable<MemberInfo> Members(Type type) =>
        type.GetMembers(BindingFlags.Public | BindingFlags.Instance).Where(member => member is FieldInfo or PropertyInfo);

    private static object? Value(MemberInfo member, object owner) =>
        member is FieldInfo field ? field.GetValue(owner) : ((PropertyInfo)member).GetValue(owner);

    private static string TypeName(MemberInfo member)
    {
        var context = new NullabilityInfoContext();
        return member is FieldInfo field
            ? TypeName(field.FieldType, context.Create(field).WriteState)
            : TypeName(((PropertyInfo)member).PropertyType, context.Create((PropertyInfo)member).WriteState);
    }

    private static string TypeName(Type type, NullabilityState state)
    {
        if (Nullable.GetUnderlyingType(type) is Type underlying)
            return TypeName(underlying, NullabilityState.NotNull) + "?";
        string name = Type.GetTypeCode(type) switch
        {
            _ when type.IsEnum => type.Name,
            TypeCode.String => "string",
            TypeCode.Int32 => "int",
            TypeCode.Int64 => "long",
            TypeCode.Double => "double",
            TypeCode.Single => "float",
            TypeCode.Boolean => "bool",
            _ when type.IsArray => TypeName(type.GetElementType()!, NullabilityState.NotNull) + "[]",
            _ when type.IsGenericType =>
                $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<" +
                $"{string.Join(", ", type.GetGenericArguments().Select(argument => TypeName(argument, NullabilityState.NotNull)))}>",
            _ => type.Name,
        };
        return state == NullabilityState.Nullable ? name + "?" : name;
    }

    private static string Default(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        bool flag => flag ? "true" : "false",
        CancellationToken { CanBeCanceled: false } => "none",
        GenerationOptions generation => Differences(generation),
        IEnumerable items when !items.Cast<object>().Any() => "none",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    private static string Differences(GenerationOptions options)
    {
        var plain = new GenerationOptions();
        return string.Join(", ", Members(typeof(GenerationOptions))
            .Where(member => Default(Value(member, options)) != Default(Value(member, plain)))
            .Select(member => $"{member.Name} = {Value(member, options)}"));
    }

    [GeneratedRegex("""^\| `(\w+)` \| `([^`]+)` \| ([^|]+) \|""", RegexOptions.Multiline)]
    private static partial Regex OptionRow();
}
