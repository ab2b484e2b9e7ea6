using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace QuickStart;

/// <summary>A compressor of the machine, as a model of text: what held-out rows cost it after the training rows. A program reads its input, and
/// writes to its output or to the archive that its arguments name.</summary>
internal static class Compressor
{
    /// <summary>The command of <c>xz -9e</c>.</summary>
    public static (string Program, Func<string, string[]> Arguments) Xz { get; } = ("xz", _ => ["-9e", "--stdout"]);

    /// <summary>7-Zip's PPMd of an order, with memory enough for any text of these benchmarks: of a file, whose length it knows, it takes less than it is
    /// told, 4 MB for 200 KB, which is too little for the order 16. The archive's header is not compressed: its length does not change
    /// with the text.</summary>
    public static (string Program, Func<string, string[]> Arguments) Ppmd(int order) => (SevenZip, archive =>
        ["a", "-t7z", "-si", string.Create(CultureInfo.InvariantCulture, $"-m0=PPMd:o={order}:mem=512m"), "-mhc=off", "-bso0", "-bsp0", archive]);

    // Some packages have the program by its other name alone.
    private static string SevenZip { get; } = IsOnPath("7z") || !IsOnPath("7zz") ? "7z" : "7zz";

    /// <summary>Compresses the training rows with the held-out ones after them, a row per line, and the training rows alone.</summary>
    /// <returns>The difference in bits, by the bytes of the held-out rows without their line ends; <see langword="null"/> where the program is
    /// absent.</returns>
    /// <exception cref="InvalidOperationException">The program failed.</exception>
    public static double? BitsPerByte(
        IReadOnlyList<string> training, IReadOnlyList<string> heldOut, (string Program, Func<string, string[]> Arguments) compressor)
    {
        string known = Join(training);
        return (Measure(known + Join(heldOut), compressor) - Measure(known, compressor)) * 8.0 / CountBytes(heldOut);
    }

    /// <summary>Compresses the training rows with each held-out one after them: what a row costs where no other held-out one is known.</summary>
    /// <returns>The sum of the differences to the training rows alone, as <see cref="BitsPerByte"/> gives it, without the rows' ends;
    /// <see langword="null"/> where the program is absent.</returns>
    /// <remarks>An archive has whole bytes. For each held-out row the training rows begin at another one, so that what is rounded evens out.</remarks>
    /// <exception cref="InvalidOperationException">The program failed.</exception>
    public static double? BitsPerByteEach(
        IReadOnlyList<string> training, IReadOnlyList<string> heldOut, (string Program, Func<string, string[]> Arguments) compressor)
    {
        long?[] bytes = [.. Enumerable.Range(0, heldOut.Count).AsParallel().Select(i =>
        {
            int first = i % training.Count;
            string known = Join(training.Skip(first).Concat(training.Take(first)));
            return Measure(known + heldOut[i], compressor) - Measure(known, compressor);
        })];
        return bytes.Contains(null) ? null : bytes.Sum() * 8.0 / CountBytes(heldOut);
    }

    private static bool IsOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));

    private static string Join(IEnumerable<string> rows) => string.Concat(rows.Select(row => row + "\n"));

    private static long CountBytes(IEnumerable<string> rows) => rows.Sum(row => (long)Encoding.UTF8.GetByteCount(row));

    private static long? Measure(string text, (string Program, Func<string, string[]> Arguments) compressor)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("leap-");
        try
        {
            string archive = Path.Combine(folder.FullName, "rows.7z");
            using Process process = Process.Start(new ProcessStartInfo(compressor.Program, compressor.Arguments(archive))
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!;
            Task<long> written = Task.Run(() => CountBytes(process.StandardOutput.BaseStream));
            bool isRead = Write(text, process.StandardInput.BaseStream);
            process.WaitForExit();
            if (process.ExitCode != 0 || !isRead)
                throw new InvalidOperationException($"{compressor.Program} ended with the exit code {process.ExitCode}{(isRead ? "" : " before it had read the text")}.");
            return File.Exists(archive) ? new FileInfo(archive).Length : written.Result;
        }
        catch (Win32Exception)
        {
            // No such program.
            return null;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // Tells whether the program read it all: it may end before.
    private static bool Write(string text, Stream input)
    {
        try
        {
            using (input)
                input.Write(Encoding.UTF8.GetBytes(text));
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static long CountBytes(Stream stream)
    {
        long count = 0;
        byte[] buffer = new byte[1 << 16];
        for (int read; (read = stream.Read(buffer)) > 0;)
            count += read;
        return count;
    }
}
