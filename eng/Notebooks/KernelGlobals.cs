namespace Microsoft.ML.Leap.Notebooks;

/// <summary>What the kernel lends to every cell. Public because scripts call it.</summary>
public sealed class KernelGlobals(Action<object> show)
{
    /// <summary>Shows a value as the notebook's formatters say.</summary>
#pragma warning disable IDE1006 // The kernel's own name.
    public void display(object value) => show(value);
#pragma warning restore IDE1006
}
