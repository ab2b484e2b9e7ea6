using Spectre.Console;

namespace Leap.Tool;

/// <summary>Writes tables, bars and colours: as such in a terminal, as plain text elsewhere.</summary>
internal static class Terminal
{
    // Of text that no terminal breaks.
    private const int Width = 160;

    /// <summary>Opens a console on a writer.</summary>
    public static IAnsiConsole Open(TextWriter writer)
    {
        bool isTerminal = (writer == Console.Out && !Console.IsOutputRedirected) || (writer == Console.Error && !Console.IsErrorRedirected);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!isTerminal)
            console.Profile.Width = Width;
        return console;
    }
}
