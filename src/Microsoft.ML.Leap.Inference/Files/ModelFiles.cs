using System.Buffers;

namespace Microsoft.ML.Leap;

/// <summary>The files of a model, the same in a folder and in ML.NET's zip; the tokenizer names its own.</summary>
internal static class ModelFileNames
{
    /// <summary>The network's shape, as Hugging Face keeps it.</summary>
    public const string Config = "config.json";

    /// <summary>The weights, each once.</summary>
    public const string Weights = "model.safetensors";

    /// <summary>The counted n-grams; a model may have none.</summary>
    public const string Memory = "memory.safetensors";

    /// <summary>The tokenizer as tokenizers of Hugging Face read it; only in folders, and only for tokenizers that they have too.</summary>
    public const string TokenizerJson = "tokenizer.json";

    /// <summary>How the model was trained.</summary>
    public const string Recipe = "recipe.json";

    /// <summary>Lengths and sums of a folder's files, to tell those of one model from those of two.</summary>
    public const string Manifest = "leap.manifest";

    /// <summary>Settings of this package that are not the network's shape.</summary>
    public const string Settings = "leap.json";
}

/// <summary>A saved model seen as named files, wherever they are.</summary>
internal interface IModelSource
{
    /// <summary>Gets whether there is a file of this name.</summary>
    bool Contains(string name);

    /// <summary>Opens a file at its first byte, gives it to <paramref name="read"/> and closes it. The stream knows its length.</summary>
    /// <exception cref="FormatException">The file is missing from an archive, or cannot be decompressed.</exception>
    /// <exception cref="FileNotFoundException">The file is missing from a folder.</exception>
    T Read<T>(string name, Func<Stream, T> read);

    /// <summary>Reads a file while the caller reads others: on another thread, where there is one and the place allows it.</summary>
    /// <remarks>Whatever becomes of the others, the caller waits for the end: until then the place is in use.</remarks>
    Task<T> ReadAside<T>(string name, Func<Stream, T> read) => Task.FromResult(Read(name, read));
}

/// <summary>A place that takes a model as named files.</summary>
internal interface IModelTarget
{
    /// <summary>Creates a file, lets <paramref name="write"/> fill it, and closes it. A name is written once.</summary>
    void Write(string name, Action<Stream> write);
}

/// <summary>A model in a folder, in the layout of Hugging Face.</summary>
internal static class ModelFolder
{
    private const string TemporarySuffix = ".tmp";

    // Who still writes such a file, has written to it since.
    private static readonly TimeSpan _leftoverAge = TimeSpan.FromHours(1);

    /// <summary>Saves a model: all files under temporary names first, then all renamed, the list of their sums before the others. Whatever interrupts the
    /// writing, the model that was in the folder before is still there, whole; where the renaming is interrupted, <see cref="Load"/> says so. No file with
    /// a final name is ever half-written.</summary>
    /// <param name="folder">Created where it is missing. Files of other names are left alone.</param>
    /// <param name="save">Writes the files.</param>
    public static void Save(string folder, Action<IModelTarget> save)
    {
        Directory.CreateDirectory(folder);
        DeleteLeftovers(folder);
        var target = new Target(folder);
        try
        {
            save(target);
            target.Commit();
        }
        finally
        {
            target.DeleteTemporaries();
        }
    }

    /// <summary>Loads a model.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">A needed file is missing.</exception>
    /// <exception cref="FormatException">A file is corrupt.</exception>
    public static T Load<T>(string folder, Func<IModelSource, T> load)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder '{folder}' to load a model from.");
        return new Source(folder).Load(load);
    }

    // Temporary files of processes that were killed.
    private static void DeleteLeftovers(string folder)
    {
        foreach (FileInfo file in new DirectoryInfo(folder).EnumerateFiles($"*{TemporarySuffix}"))
        {
            string[] parts = file.Name.Split('.');
            if (parts.Length > 2 && Guid.TryParseExact(parts[^2], "N", out _) && DateTime.UtcNow - file.LastWriteTimeUtc > _leftoverAge)
                file.Delete();
        }
    }

    private static string GetPath(string folder, string name)
    {
        if (name.Length == 0 || name != Path.GetFileName(name))
            throw new ArgumentException($"Expected the name of a file, but got '{name}'.", nameof(name));
        return Path.Combine(folder, name);
    }

    private sealed class Target(string folder) : IModelTarget
    {
        private readonly Dictionary<string, string> _temporaries = new(StringComparer.Ordinal);
        private readonly ModelManifest _manifest = new();

        public void Write(string name, Action<Stream> write)
        {
            using FileStream stream = Create(name);
            write(stream);
            stream.Flush(flushToDisk: true);
            stream.Position = 0;
            _manifest.Add(name, stream);
        }

        public void Commit()
        {
            using (FileStream stream = Create(ModelFileNames.Manifest))
            using (var writer = new BinaryWriter(stream))
            {
                _manifest.Write(writer);
                writer.Flush();
                stream.Flush(flushToDisk: true);
            }

            // First: from here on, a file of the old model does not match.
            Move(ModelFileNames.Manifest);
            foreach (string name in _temporaries.Keys.Where(name => name != ModelFileNames.Manifest))
                Move(name);

            // What a model may lack must not be that of the model before it.
            foreach (string name in new[] { ModelFileNames.Memory, ModelFileNames.TokenizerJson }.Except(_temporaries.Keys))
                File.Delete(GetPath(folder, name));
        }

        public void DeleteTemporaries()
        {
            foreach (string temporary in _temporaries.Values)
                File.Delete(temporary);
        }

        private FileStream Create(string name)
        {
            string temporary = $"{GetPath(folder, name)}.{Guid.NewGuid():N}{TemporarySuffix}";
            _temporaries.Add(name, temporary);
            return new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite);
        }

        private void Move(string name) => File.Move(_temporaries[name], GetPath(folder, name), overwrite: true);
    }

    private sealed class Source : IModelSource
    {
        private const string Remedy =
            $" It was edited, or the saving was interrupted: save the model again, or delete '{ModelFileNames.Manifest}' to load the files as they are.";

        private readonly string _folder;
        private readonly ModelManifest? _manifest;

        public Source(string folder)
        {
            _folder = folder;
            if (!File.Exists(GetPath(folder, ModelFileNames.Manifest)))
                return;
            using FileStream stream = OrdinaryFile.OpenRead(GetPath(folder, ModelFileNames.Manifest));
            using var reader = new BinaryReader(stream);
            _manifest = ModelManifest.Read(reader);
        }

        public T Load<T>(Func<IModelSource, T> load) => _manifest is null ? load(this) : _manifest.Load(() => load(this));

        public bool Contains(string name) => _manifest?.Contains(name) ?? File.Exists(GetPath(_folder, name));

        public T Read<T>(string name, Func<Stream, T> read)
        {
            string path = GetPath(_folder, name);
            if (!File.Exists(path))
                throw new FileNotFoundException($"The model in folder '{_folder}' lacks the file '{name}'.", path);
            using FileStream stream = OrdinaryFile.OpenRead(path);
            return _manifest?.Contains(name) == true ? _manifest.ReadFile(name, stream, stream.Length, read, Remedy) : read(stream);
        }

        public Task<T> ReadAside<T>(string name, Func<Stream, T> read) => SpareThread.Run(() => Read(name, read));
    }
}

/// <summary>Another thread for what takes long, where there is a processor for it.</summary>
internal static class SpareThread
{
    public static bool Exists => Environment.ProcessorCount > 1 && !OperatingSystem.IsBrowser();

    /// <summary>Runs <paramref name="function"/> on another thread; where there is none, at once.</summary>
    public static Task<T> Run<T>(Func<T> function) => Exists ? Task.Run(function) : Task.FromResult(function());

    /// <summary>Waits until a task has ended, and throws nothing of what went wrong in it.</summary>
    public static void WaitForEnd(Task? task)
    {
        if (task is null)
            return;
        Task.WaitAny(task);

        // Otherwise the runtime would report it as an exception that nobody saw.
        _ = task.Exception;
    }
}

/// <summary>Reads from streams whose claimed length is not to be trusted: memory grows only as bytes arrive, and an early
/// end or an undecodable stream is a <see cref="FormatException"/>.</summary>
internal static class BoundedReader
{
    private const int FirstBuffer = 1 << 16;

    /// <summary>Reads exactly <paramref name="count"/> bytes.</summary>
    /// <exception cref="FormatException">The stream ends before, or cannot be decompressed.</exception>
    public static byte[] ReadBytes(Stream stream, int count, string source)
    {
        byte[] buffer = new byte[Math.Min(count, FirstBuffer)];
        int filled = 0;
        while (true)
        {
            ReadExactly(stream, buffer.AsSpan(filled), source);
            filled = buffer.Length;
            if (filled == count)
                return buffer;
            Array.Resize(ref buffer, (int)Math.Min(count, filled * 2L));
        }
    }

    /// <summary>Reads a small file whole.</summary>
    /// <exception cref="FormatException">The stream is longer than <paramref name="maximum"/>, or cannot be decompressed.</exception>
    public static byte[] ReadAll(Stream stream, int maximum, string source)
    {
        if (stream is MemoryStream memory && memory.Length - memory.Position <= maximum)
        {
            byte[] rest = new byte[memory.Length - memory.Position];
            memory.ReadExactly(rest);
            return rest;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        int filled = 0;
        try
        {
            int read;
            while ((read = stream.Read(buffer, filled, Math.Min(buffer.Length - filled, FirstBuffer))) > 0)
            {
                filled += read;
                if (filled > maximum)
                    throw new FormatException($"{source}: the file must have at most {maximum} bytes, but has more.");
                if (filled < buffer.Length)
                    continue;
                byte[] larger = ArrayPool<byte>.Shared.Rent(2 * filled);
                buffer.CopyTo(larger, 0);
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = larger;
            }

            return buffer.AsSpan(0, filled).ToArray();
        }
        catch (InvalidDataException e)
        {
            throw Corrupt(source, e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Fills <paramref name="destination"/>.</summary>
    /// <exception cref="FormatException">The stream ends before, or cannot be decompressed.</exception>
    public static void ReadExactly(Stream stream, Span<byte> destination, string source)
    {
        try
        {
            stream.ReadExactly(destination);
        }
        catch (EndOfStreamException e)
        {
            throw new FormatException($"{source}: the file is truncated.", e);
        }
        catch (InvalidDataException e)
        {
            throw Corrupt(source, e);
        }
    }

    private static FormatException Corrupt(string source, InvalidDataException e) =>
        new($"{source}: the file is corrupt: {e.Message}", e);
}
