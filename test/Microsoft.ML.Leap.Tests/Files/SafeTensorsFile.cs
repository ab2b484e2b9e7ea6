using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Builds safetensors files byte by byte, independently of the writer under test.</summary>
internal static class SafeTensorsFile
{
    public static byte[] Build(string header, params byte[][] data) => Build(header, Encoding.UTF8.GetByteCount(header), data);

    public static byte[] Build(string header, long claimedLength, params byte[][] data)
    {
        byte[] prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, claimedLength);
        return [.. prefix, .. Encoding.UTF8.GetBytes(header), .. data.SelectMany(bytes => bytes)];
    }

    public static byte[] Floats(params float[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    public static byte[] Longs(params long[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    /// <summary>One F32 tensor 'a' of shape [2, 2], 1 2 3 4.</summary>
    public static byte[] Small() => Build("""{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}""", Floats(1, 2, 3, 4));
}
