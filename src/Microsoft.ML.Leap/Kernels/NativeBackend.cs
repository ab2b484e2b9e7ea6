using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.Leap;

/// <summary>Loads TorchSharp's native library, or says why it cannot be loaded and what to do.</summary>
/// <remarks>Every public entry calls <see cref="EnsureLoaded"/> before it touches torch: TorchSharp's own failure is a type
/// initializer that fails for good, after printing a trace to the console. Thread-safe.</remarks>
internal static class NativeBackend
{
    private static readonly Lock Gate = new();
    private static volatile bool s_loaded;

    /// <summary>Loads the native library once in the process, after <see cref="AllocatorSettings.Apply"/>
    /// and <see cref="ThreadSettings.Apply"/>.</summary>
    /// <exception cref="InvalidOperationException">The library cannot be loaded; the message says why and what to do, and the inner
    /// exception is the loader's. A later call tries again unless TorchSharp itself has failed before.</exception>
    internal static void EnsureLoaded()
    {
        if (s_loaded)
            return;

        lock (Gate)
        {
            if (s_loaded)
                return;
            AllocatorSettings.Apply();
            ThreadSettings.Apply();
            Load();
            s_loaded = true;
        }
    }

    private static void Load()
    {
        Exception? failure = TryLoad();
        if (failure is not null)
        {
            NativeBackendFacts facts = NativeBackendFacts.Collect(failure.Message);
            if (facts.IsCppLibraryTooOld || !facts.IsInPackageFolder)
                throw new InvalidOperationException(facts.Describe(), failure);
        }

        InitializeTorchSharp();
    }

    /// <summary>Loads by name as TorchSharp does, so that its own attempt finds the library in the process.</summary>
    private static Exception? TryLoad()
    {
        Assembly torchSharp = typeof(torch).Assembly;
        try
        {
            // LibTorchSharp needs it, and may lie in another folder.
            NativeLibrary.TryLoad("torch_cpu", torchSharp, null, out _);
            NativeLibrary.Load("LibTorchSharp", torchSharp, null);
            return null;
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            return exception;
        }
    }

    /// <summary>Lets TorchSharp register the library, or copy it from the NuGet folder where the application did not bring it.</summary>
    private static void InitializeTorchSharp()
    {
        try
        {
            torch.InitializeDeviceType(DeviceType.CPU);
        }
        catch (Exception exception) when (exception is TypeInitializationException or NotSupportedException)
        {
            Exception cause = exception.GetBaseException();
            throw new InvalidOperationException(NativeBackendFacts.Collect(cause.Message).Describe(), cause);
        }
    }
}
