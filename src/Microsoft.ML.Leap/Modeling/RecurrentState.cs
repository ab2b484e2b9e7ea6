using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>All that a LEAP network remembers of the tokens it has read: the sums over each layer's window, of a size that does not depend on
/// how many they were. Not thread-safe.</summary>
internal abstract class RecurrentState : IDisposable
{
    /// <summary>Gets or sets the position of the next token.</summary>
    public long Position { get; set; }

    /// <summary>Gets the bytes that the sums take.</summary>
    public abstract long SizeInBytes { get; }

    /// <summary>Makes the state before the first token, for a network on a device.</summary>
    /// <param name="config">The network's shape.</param>
    /// <param name="device">Where it is.</param>
    public static RecurrentState Create(LeapConfig config, Device device) =>
        device.type == DeviceType.CPU ? new RawRecurrentState(config) : new TensorRecurrentState(config, device);

    /// <summary>Gives the window of a layer, and 0 for one that is global.</summary>
    public static int WindowOf(LeapConfig config, int layer) =>
        config.WindowSizes[layer] < config.ContextLength ? config.WindowSizes[layer] : 0;

    /// <summary>Forgets all tokens.</summary>
    public virtual void Reset() => Position = 0;

    /// <summary>Makes a state of its own that has read the same tokens.</summary>
    public abstract RecurrentState Clone();

    /// <summary>Writes the state; <see cref="Read"/> of a network of the same shape on the same kind of device takes it back.</summary>
    public virtual void Write(BinaryWriter writer) => writer.Write(Position);

    /// <summary>Takes over a written state.</summary>
    /// <exception cref="FormatException">The bytes are no such state.</exception>
    /// <exception cref="EndOfStreamException">There are too few bytes.</exception>
    public virtual void Read(BinaryReader reader)
    {
        Position = reader.ReadInt64();
        if (Position < 0)
            throw new FormatException($"The state's position must be at least 0, but it is {Position}.");
    }

    public abstract void Dispose();
}
