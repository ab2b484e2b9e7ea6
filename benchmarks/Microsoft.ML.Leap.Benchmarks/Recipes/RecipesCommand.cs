using System.CommandLine;
using System.Globalization;
using Spectre.Console;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>The verb "recipes": models of one text, trained with nothing set, beside what a user could take instead.</summary>
internal static class RecipesCommand
{
    public static System.CommandLine.Command Create()
    {
        var data = new Option<FileInfo>("--data")
        {
            Description = "Text in UTF-8, a document per line; unpacked where its name ends with .gz",
            Required = true,
        };
        data.AcceptExistingOnly();
        Option<int?> train = PositiveOption.Checked(new Option<int?>("--train") { Description = "Rows to train on; by default all that are not held out" });
        var seconds = new Option<double?>("--seconds") { Description = "LEAP's time budget; by default none is set" };
        seconds.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is double value && !(value > 0 && double.IsFinite(value)))
                result.AddError("--seconds must be over 0 and finite.");
        });
        var leapOnly = new Option<bool>("--leap-only") { Description = "Leave out the two slow contestants, version 0.1 and the original's recipe" };
        var json = new Option<string?>("--json") { Description = "File for the result" };
        var command = new System.CommandLine.Command("recipes", "Compare the default with n-grams and compressors on a text.")
        {
            data, train, seconds, leapOnly, json,
        };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            RecipesReport report = RecipesBenchmark.Run(
                HeldOutRows.Read(result.GetRequiredValue(data).FullName, result.GetValue(train)),
                result.GetValue(seconds) is double budget ? TimeSpan.FromSeconds(budget) : null,
                result.GetValue(leapOnly));
            Print(report);
            if (result.GetValue(json) is string path)
                JsonReport.Write(path, report);
        }));
        return command;
    }

    private static void Print(RecipesReport report)
    {
        AnsiConsole.MarkupLineInterpolated($"{report.TrainingRows:N0} rows of {report.TrainingBytes:N0} bytes; {report.HeldOutRows:N0} held-out rows of {report.HeldOutBytes:N0} bytes.");
        AnsiConsole.WriteLine($"LEAP chose: {report.Chosen}");
        var table = new Table().AddColumn("contestant").AddColumn(new TableColumn("bits per byte").RightAligned()).AddColumn(new TableColumn("seconds").RightAligned());
        foreach ((string name, double? bits, double? time) in report.Rows.OrderBy(row => row.BitsPerByte ?? double.MaxValue))
            table.AddRow(name, Number(bits, "0.000"), Number(time, "0.0"));
        AnsiConsole.Write(table);
    }

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "none";
}
