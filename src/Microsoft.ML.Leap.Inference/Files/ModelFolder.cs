namespace Microsoft.ML.Leap;

/// <summary>A model in a folder, in the layout of Hugging Face.</summary>
internal static class ModelFolder
{
    /// <summary>Saves a model: all files under temporary names first, then all renamed. Whatever interrupts the writing, the model
    /// that was in the folder before is still there, whole, and no file with a final name is ever half-written.</summary>
    /// <param name="folder">Created where it is missing. Files of other names are left alone.</param>
    /// <param name="save">Writes the files.</param>
    public static void Save(string folder, Action<IModelTarget> save)
    {
        Directory.CreateDirectory(folder);
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
        return load(new Source(folder));
    }

    private static string PathOf(string folder, string name)
    {
        if (name.Length == 0 || name != Path.GetFileName(name))
            throw new ArgumentException($"Expected the name of a file, but got '{name}'.", nameof(name));
        return Path.Combine(folder, name);
    }

    private sealed class Target(string folder) : IModelTarget
    {
        private readonly Dictionary<string, string> _temporaries = new(StringComparer.Ordinal);

        public void Write(string name, Action<Stream> write)
        {
            string path = PathOf(folder, name);
            string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
            _temporaries.Add(path, temporary);
            using FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write);
            write(stream);
            stream.Flush(flushToDisk: true);
        }

        public void Commit()
        {
            foreach ((string path, string temporary) in _temporaries)
                File.Move(temporary, path, overwrite: true);

            // A model without a memory must not take over that of the model before it.
            if (!_temporaries.ContainsKey(PathOf(folder, ModelFileNames.Memory)))
                File.Delete(PathOf(folder, ModelFileNames.Memory));
            _temporaries.Clear();
        }

        public void DeleteTemporaries()
        {
            foreach (string temporary in _temporaries.Values)
                File.Delete(temporary);
        }
    }

    private sealed class Source(string folder) : IModelSource
    {
        public bool Contains(string name) => File.Exists(PathOf(folder, name));

        public T Read<T>(string name, Func<Stream, T> read)
        {
            string path = PathOf(folder, name);
            if (!File.Exists(path))
                throw new FileNotFoundException($"The model in folder '{folder}' lacks the file '{name}'.", path);
            using FileStream stream = File.OpenRead(path);
            return read(stream);
        }
    }
}
