using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace QuickStart;

/// <summary>A compressor of the machine, as a model of text: what held-out rows cost it after the training rows.</summary>
internal static class Compressor
{
    /// <summary>The command of <c>xz -9e</c>: compresses its first argument and writes the result to its output.</summary>
    public static (string Program, Func<string, string[]> Arguments) Xz { get; } = ("xz", file => ["-9e", "--keep", "--stdout", file]);

    /// <summary>7-Zip's PPMd of an order, with memory enough for any text of these benchmarks.</summary>
    public static (string Program, Func<string, string[]> Arguments) Ppmd(int order) => ("7z", file =>
        ["a", "-t7z", string.Create(CultureInfo.InvariantCulture, $"-m0=PPMd:o={order}:mem=512m"), "-bso0", "-bsp0", file + ".7z", file]);

    /// <summary>Compresses the training rows with the held-out ones after them, a row per line, and the training rows alone.</summary>
    /// <returns>The difference in bits, by the bytes of the held-out rows without their line ends; <see langword="null"/> where the program is
    /// absent.</returns>
    /// <exception cref="InvalidOperationException">The program failed.</exception>
    public static double? BitsPerByte(
        IReadOnlyList<string> training, IReadOnlyList<string> heldOut, (string Program, Func<string, string[]> Arguments) compressor)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("leap-");
        try
        {
            long? all = Length([.. training, .. heldOut], Path.Combine(folder.FullName, "all"));
            long? known = all is null ? null : Length(training, Path.Combine(folder.FullName, "known"));
            return (all - known) * 8.0 / heldOut.Sum(row => (long)Encoding.UTF8.GetByteCount(row));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        long? Length(IReadOnlyList<string> rows, string path)
        {
            File.WriteAllText(path, string.Concat(rows.Select(row => row + "\n")));
            return Compress(path, compressor.Program, compressor.Arguments(path));
        }
    }

    private static long? Compress(string path, string program, string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
            long written = CountBytes(process.StandardOutput.BaseStream);
            process.WaitForExit();
            if (process.ExitCode != 0)
                throw new InvalidOperationException($"{program} ended with the exit code {process.ExitCode}.");
            string archive = path + ".7z";
            return File.Exists(archive) ? new FileInfo(archive).Length : written;
        }
        catch (Win32Exception)
        {
            // No such program.
            return null;
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
