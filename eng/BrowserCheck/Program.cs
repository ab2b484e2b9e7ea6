using System.Globalization;
using BrowserCheck;

// dotnet run --project eng/BrowserCheck -- train MODEL, or check MODEL FOLDER with the published samples/Browser.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["train", string model]:
        SmallModel.Train(model);
        Console.WriteLine($"{model}: {new FileInfo(model).Length:N0} bytes");
        return 0;
    case ["check", string model, string site]:
        return await Check.RunAsync(model, site) ? 0 : 1;
    default:
        Console.Error.WriteLine("usage: BrowserCheck train MODEL | check MODEL FOLDER");
        return 2;
}
