using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>The file of a <see cref="GenerationState"/>: what it is, of which model, and then its fields.</summary>
internal static class GenerationStateFile
{
    private const int Version = 1;

    // Version 0.1 told states of the CPU, whose form this is, from those of GPUs by a byte.

    private static ReadOnlySpan<byte> Magic => "LEAPSTATE"u8;

    public static void Write(Stream stream, ReadOnlySpan<byte> fingerprint, PositionPolicy policy, Action<BinaryWriter> writeFields)
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write(fingerprint);
        writer.Write(true);
        writer.Write((int)policy);
        writeFields(writer);
    }

    /// <exception cref="FormatException">The stream holds no state, or one of another model.</exception>
    public static GenerationState Read(
        Stream stream, ReadOnlySpan<byte> fingerprint, Func<BinaryReader, PositionPolicy, GenerationState> readFields)
    {
        try
        {
            using var reader = new BinaryReader(stream, Encoding.UTF8, leaveOpen: true);
            if (!reader.ReadBytes(Magic.Length).AsSpan().SequenceEqual(Magic))
                throw new FormatException("The stream does not hold a generation state.");
            int version = reader.ReadInt32();
            if (version != Version)
                throw new FormatException($"The state has format version {version}, but this package reads version {Version}.");
            if (!reader.ReadBytes(fingerprint.Length).AsSpan().SequenceEqual(fingerprint))
                throw new FormatException("The state belongs to another model: it can be read only by the very model that wrote it.");
            if (!reader.ReadBoolean())
                throw new FormatException("The state was written on another kind of device, by version 0.1; read the text anew.");
            var policy = (PositionPolicy)reader.ReadInt32();
            if (!Enum.IsDefined(policy))
                throw new FormatException($"The state names an unknown position policy, {(int)policy}.");
            return readFields(reader, policy);
        }
        catch (EndOfStreamException e)
        {
            throw new FormatException("The state ends too early: the stream is damaged.", e);
        }
    }
}
