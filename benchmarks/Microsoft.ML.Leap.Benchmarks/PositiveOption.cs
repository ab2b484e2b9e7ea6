using System.CommandLine;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Options that are whole numbers of at least 1.</summary>
internal static class PositiveOption
{
    public static Option<int> Create(string name, string description, int defaultValue) =>
        Checked(new Option<int>(name) { Description = description, DefaultValueFactory = _ => defaultValue });

    public static Option<T> Checked<T>(Option<T> option)
    {
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<T>() is < 1)
                result.AddError($"{option.Name} must be at least 1.");
        });
        return option;
    }
}
