using System;
using System.IO;
using System.Reflection;
using Microsoft.ML.Leap;
using ScottPlot;

/// <summary>What a notebook's kernel offers, for the programs here: text goes to the console, pictures to files.</summary>
internal static class Notebook
{
    private static int s_pictureCount;

    public static void display(object value)
    {
        switch (value)
        {
            case Plot plot:
                plot.SaveSvg(NextPicture(".svg"), 640, 320);
                break;
            case FocusReport report:
                report.SaveHtml(NextPicture(".html"));
                break;
            case LeapLanguageModelTransformer model:
                Console.WriteLine($"{model.Config}, {model.Tokenizer}");
                break;
            case TrainingHistory history:
                foreach (TrainingRecord record in history.Records)
                    Console.WriteLine($"epoch {record.Epoch}: training loss {record.TrainingLoss:0.00}, validation loss {record.ValidationLoss:0.00}");
                break;
            default:
                Console.WriteLine(value);
                break;
        }
    }

    private static string NextPicture(string extension)
    {
        DirectoryInfo folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "leap-samples"));
        string program = Assembly.GetEntryAssembly()!.GetName().Name!;
        string path = Path.Combine(folder.FullName, $"{program}-{++s_pictureCount}{extension}");
        Console.WriteLine($"picture: {path}");
        return path;
    }
}
