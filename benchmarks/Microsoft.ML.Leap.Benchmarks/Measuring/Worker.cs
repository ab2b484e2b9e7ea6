using System.Diagnostics;
using System.Text.Json;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A process of this program that works on command: a line in names the work, a line out, of JSON, tells the result. It computes
/// nothing unless asked, so that of several never two compute at once.</summary>
internal sealed class Worker : IDisposable
{
    private readonly Process _process;

    /// <summary>Starts the program with the given arguments; it must call <see cref="Serve"/>.</summary>
    public Worker(IEnumerable<string> arguments)
    {
        ProcessStartInfo start = ChildProgram.Start(arguments);
        start.RedirectStandardInput = true;
        _process = Process.Start(start)!;
    }

    /// <summary>In the child: answers lines until there are no more.</summary>
    public static void Serve(Func<string, object> answer)
    {
        while (Console.ReadLine() is string line)
        {
            Console.WriteLine(JsonSerializer.Serialize(answer(line)));
            Console.Out.Flush();
        }
    }

    /// <summary>Has the work done, and waits for its result.</summary>
    public T Ask<T>(string work)
    {
        _process.StandardInput.WriteLine(work);
        _process.StandardInput.Flush();
        if (_process.StandardOutput.ReadLine() is string line)
            return JsonSerializer.Deserialize<T>(line)!;
        _process.WaitForExit();
        throw new InvalidOperationException($"The process for '{work}' ended with the exit code {_process.ExitCode}.");
    }

    public void Dispose()
    {
        // The end of its input ends it.
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(30)))
            _process.Kill();
        _process.Dispose();
    }
}
