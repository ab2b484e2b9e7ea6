using System;
using System.Collections;
using System.IO;
using System.Linq;
using System.Reflection;
using Microsoft.ML.Leap;
using ScottPlot;

/// <summary>What a notebook's kernel offers, for the programs here: they show text in the console, and pictures as files.</summary>
internal static class Notebook
{
    private static int s_pictureCount;

    public static void display(object value)
    {
        switch (value)
        {
            case string text:
                Console.WriteLine(text);
                break;
            case Plot plot:
                plot.SaveSvg(NextPicture(".svg"), 640, 320);
                break;
            case FocusReport report:
                report.SaveHtml(NextPicture(".html"));
                break;
            case TrainingHistory history:
                PrintTable(history.Records);
                break;
            case LeapLanguageModelTransformer model:
                Console.WriteLine($"{model.Config}, {model.Tokenizer}");
                break;
            case IEnumerable rows:
                PrintTable(rows);
                break;
            default:
                Console.WriteLine(value);
                break;
        }
    }

    private static string NextPicture(string extension)
    {
        DirectoryInfo folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "leap-samples"));
        string name = Assembly.GetEntryAssembly()!.GetName().Name!;
        string path = Path.Combine(folder.FullName, $"{name}-{++s_pictureCount}{extension}");
        Console.WriteLine($"picture: {path}");
        return path;
    }

    private static void PrintTable(IEnumerable rows)
    {
        object[] items = [.. rows.Cast<object>()];
        if (items.Length == 0)
            return;
        PropertyInfo[] columns = items[0].GetType().GetProperties();
        string[][] cells = [[.. columns.Select(column => column.Name)],
            .. items.Select(item => columns.Select(column => Text(column.GetValue(item))).ToArray())];
        int[] widths = [.. columns.Select((_, index) => cells.Max(row => row[index].Length))];
        foreach (string[] row in cells)
            Console.WriteLine(string.Join("  ", row.Select((cell, index) => cell.PadRight(widths[index]))).TrimEnd());
    }

    private static string Text(object? value) => value switch
    {
        float or double => $"{value:G4}",
        TimeSpan time => $"{time:mm\\:ss}",
        _ => $"{value}",
    };
}
