using System.Collections;
using System.Runtime.ExceptionServices;

namespace Microsoft.ML.Leap;

/// <summary>A model in the zip that <c>mlContext.Model.Save</c> writes: its files are entries beside ML.NET's <c>Model.key</c>.</summary>
/// <remarks><c>Model.key</c> holds ML.NET's header (signature, versions, and the assembly and name that find the loader in a process
/// that has not heard of this package) and a <see cref="ModelManifest"/> of the files: ML.NET does not verify the zip's own check
/// sums, and a weight with a flipped bit is still a weight.</remarks>
internal static class ModelZip
{
    /// <summary>The name by which ML.NET finds the loader; at most 24 characters.</summary>
    public const string LoaderSignature = "LeapLanguageModel";

    /// <summary>What ML.NET's listings call the component.</summary>
    public const string UserName = "LEAP language model";

    // The assembly goes by its simple name: a newer file then meets the version check and its message, not a failed assembly load.
    private static readonly VersionInfo _version = new(
        modelSignature: "LEAP LM ",
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(ModelZip).Assembly.GetName().Name,
        loaderSignature: LoaderSignature);

    /// <summary>Saves a model; the body of <see cref="ICanSaveModel.Save"/>.</summary>
    public static void Save(ModelSaveContext context, Action<IModelTarget> save)
    {
        ArgumentNullException.ThrowIfNull(context);
        context.CheckAtModel();
        context.SetVersionInfo(_version);
        var target = new Target(context);
        save(target);
        target.Manifest.Write(context.Writer);
    }

    /// <summary>Loads a model; the body of the loader's <c>Create</c>.</summary>
    /// <exception cref="FormatException">The model is corrupt, or written by a newer version.</exception>
    /// <exception cref="InvalidOperationException">The machine lacks what the model needs.</exception>
    public static T Load<T>(ModelLoadContext context, Func<IModelSource, T> load)
    {
        ArgumentNullException.ThrowIfNull(context);
        try
        {
            context.CheckAtModel(_version);
            return load(new Source(context, ModelManifest.Read(context.Reader)));
        }
        catch (FormatException e)
        {
            throw new CorruptModelException(e);
        }
        catch (InvalidOperationException e)
        {
            throw new ModelNotUsableException(e);
        }
    }

    private sealed class Target(ModelSaveContext context) : IModelTarget
    {
        public ModelManifest Manifest { get; } = new();

        public void Write(string name, Action<Stream> write) => context.SaveBinaryStream(name, writer =>
        {
            Stream stream = writer.BaseStream;
            write(stream);

            // ML.NET buffers an entry in a temporary file, or in memory, so what was written can be read again.
            stream.Position = 0;
            Manifest.Add(name, stream);
        });
    }

    private sealed class Source(ModelLoadContext context, ModelManifest manifest) : IModelSource
    {
        public bool Contains(string name) => manifest.Contains(name);

        public T Read<T>(string name, Func<Stream, T> read)
        {
            T? result = default;
            bool isFound = manifest.Contains(name)
                && TryRead(name, stream => result = manifest.ReadFile(name, stream, stream.Length, read));
            return isFound ? result! : throw new FormatException($"{name}: the model lacks this entry.");
        }

        private bool TryRead(string name, Action<Stream> read)
        {
            try
            {
                return context.TryLoadBinaryStream(name, reader => read(reader.BaseStream));
            }
            catch (InvalidDataException e)
            {
                throw new FormatException($"{name}: the entry is corrupt: {e.Message}", e);
            }
        }
    }
}

/// <summary>A <see cref="FormatException"/> that arrives at the caller of <c>mlContext.Model.Load</c> as itself.</summary>
internal sealed class CorruptModelException : FormatException
{
    public CorruptModelException(FormatException inner)
        : base(inner.Message, inner)
    {
        Data = new UnwrappedData(this);
    }

    public override IDictionary Data { get; }
}

/// <summary>An <see cref="InvalidOperationException"/> about the machine, such as a GPU or native library that is not there, that arrives
/// at the caller of <c>mlContext.Model.Load</c> as itself.</summary>
internal sealed class ModelNotUsableException : InvalidOperationException
{
    public ModelNotUsableException(InvalidOperationException inner)
        : base(inner.Message, inner)
    {
        Data = new UnwrappedData(this);
    }

    public override IDictionary Data { get; }
}

/// <summary>The <see cref="Exception.Data"/> of an exception that ML.NET is not to wrap.</summary>
/// <remarks>ML.NET calls a component's loader by reflection, once for each level of a pipeline, so what the loader throws would come
/// out as a <see cref="System.Reflection.TargetInvocationException"/>, in a pipeline as several of them around each other: no
/// <c>catch (FormatException)</c> would see it, and its message would be hidden. On each level ML.NET asks the original exception, in its
/// data, whether it is one of ML.NET's own, to choose the wrapper; that is the moment to throw the original instead. If another version
/// of ML.NET does not ask, the exception arrives wrapped, as those of all other components do.</remarks>
internal sealed class UnwrappedData(Exception owner) : Hashtable
{
    private const string MarkOfMlNet = "ML_IsMarked";

    public override bool Contains(object key)
    {
        if (MarkOfMlNet.Equals(key))
            ExceptionDispatchInfo.Throw(owner);
        return base.Contains(key);
    }
}
