using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Opens the files of a model: ordinary ones alone. To open a pipe would wait for its writer, and a device may have no end.</summary>
internal static unsafe partial class OrdinaryFile
{
    // Linux's numbers, the same for all processors.
    private const int CurrentFolder = -100;
    private const uint WantType = 1;
    private const int SizeOfAnswer = 256;
    private const int PlaceOfMode = 28;
    private const int KindOfMode = 0xF000;
    private const int Ordinary = 0x8000;
    private const int Folder = 0x4000;

    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="FormatException">It is a pipe, a device or a socket.</exception>
    public static FileStream OpenRead(string path)
    {
        if (OperatingSystem.IsLinux() && IsSpecial(path))
            throw Refuse(path);
        FileStream stream = File.OpenRead(path);
        if (stream.CanSeek)
            return stream;
        stream.Dispose();
        throw Refuse(path);
    }

    private static FormatException Refuse(string path) => new($"'{path}' is no ordinary file, but a pipe, a device or a socket.");

    private static bool IsSpecial(string path)
    {
        byte* answer = stackalloc byte[SizeOfAnswer];
        try
        {
            // What is not there, or may not be read, is the opening's to report. A folder too.
            return GetStatus(CurrentFolder, path, 0, WantType, answer) == 0
                && (*(ushort*)(answer + PlaceOfMode) & KindOfMode) is not (Ordinary or Folder);
        }
        catch (EntryPointNotFoundException)
        {
            // A C library of before 2018.
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetStatus(int folder, string path, int flags, uint wanted, byte* answer);
}
