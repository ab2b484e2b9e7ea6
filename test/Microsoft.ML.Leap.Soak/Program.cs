using System.Globalization;
using Microsoft.ML.Leap.Soak;

// Runs the library for long, and badly treated: eng/soak.sh.
switch (args)
{
    case ["crowd", string minutes]:
        return Report(Crowd.Run(TimeSpan.FromMinutes(double.Parse(minutes, CultureInfo.InvariantCulture)), 16, Console.WriteLine));
    case ["kills", string count]:
        return Report([.. Kills.TrainAndResume(int.Parse(count, CultureInfo.InvariantCulture), Console.WriteLine), .. Kills.Save(int.Parse(count, CultureInfo.InvariantCulture), Console.WriteLine)]);
    case ["full-disk", string folder]:
        return Report(Kills.FillDisk(folder, Console.WriteLine));
    case ["train", string folder]:
        Kills.TrainHere(folder);
        return 0;
    case ["save", string folder]:
        Kills.SaveHere(folder);
        return 0;
    default:
        Console.Error.WriteLine("usage: crowd MINUTES, kills COUNT, or full-disk FOLDER; eng/soak.sh runs all");
        return 2;
}

static int Report(IReadOnlyList<string> faults)
{
    foreach (string fault in faults.Take(20))
        Console.Error.WriteLine(fault);
    if (faults.Count > 20)
        Console.Error.WriteLine($"and {faults.Count - 20} more");
    Console.WriteLine(faults.Count == 0 ? "no failure" : $"{faults.Count} failures");
    return faults.Count == 0 ? 0 : 1;
}
