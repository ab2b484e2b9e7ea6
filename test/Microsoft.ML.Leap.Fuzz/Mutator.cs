using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>Damages inputs, the same way from the same seed: for the test suite, which has no coverage to be guided by.</summary>
internal sealed class Mutator(int seed, IReadOnlyList<byte[]> inputs)
{
    private const int MostChanges = 4;

    private static readonly long[] _numbers =
        [0, 1, -1, 2, 127, 128, 255, 256, 32767, 65535, 65536, int.MaxValue, int.MinValue, uint.MaxValue, 1L << 32, 1L << 40, long.MaxValue, long.MinValue];

    // What stands in place of a value of JSON, a field of a table, or a name.
    private static readonly string[] _texts =
    [
        "0", "-1", "1", "2147483647", "-2147483649", "9223372036854775807", "1e308", "1e400", "-0.0", "1e-400", "NaN", "null", "true", "false", "\"\"",
        "\"x\"", "\"\\ud800\"", "[]", "{}", "[null]", "[0,0,0,0,0]", "\"\\u0000\"", "[[[[[[[[[[[[[[[[", "{\"\\ud800\":1}", "0.1", "17", "\"Infinity\"",
    ];

    private readonly Random _random = new(seed);

    /// <summary>Makes the next damaged input.</summary>
    public byte[] Next()
    {
        byte[] input = Pick(inputs);
        for (int changes = _random.Next(1, MostChanges + 1); changes > 0; changes--)
            input = Change(input);
        return input;
    }

    private byte[] Change(byte[] input) => input.Length == 0 ? [(byte)_random.Next(256)] : _random.Next(9) switch
    {
        0 => Flip(input),
        1 => Set(input, (byte)_random.Next(256)),
        2 => input[..Place(input)],
        3 => Remove(input),
        4 => Repeat(input),
        5 => Splice(input),
        6 => WriteNumber(input),
        _ => ReplaceText(input),
    };

    private byte[] Flip(byte[] input)
    {
        int place = Place(input);
        return With(input, place, (byte)(input[place] ^ (1 << _random.Next(8))));
    }

    private byte[] Set(byte[] input, byte value) => With(input, Place(input), value);

    private byte[] Remove(byte[] input)
    {
        int start = Place(input);
        return [.. input[..start], .. input[(start + Length(input, start))..]];
    }

    private byte[] Repeat(byte[] input)
    {
        int start = Place(input);
        int end = start + Length(input, start);
        return [.. input[..end], .. input[start..]];
    }

    private byte[] Splice(byte[] input)
    {
        byte[] other = Pick(inputs);
        return [.. input[..Place(input)], .. other[_random.Next(other.Length + 1)..]];
    }

    private byte[] WriteNumber(byte[] input)
    {
        long number = Pick(_numbers);
        byte[] changed = [.. input];
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        if (_random.Next(2) == 0)
            BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        else
            BinaryPrimitives.WriteInt64BigEndian(bytes, number);
        Span<byte> place = changed.AsSpan(Place(input));
        int size = Math.Min(place.Length, 1 << _random.Next(4));
        bytes[..size].CopyTo(place);
        return changed;
    }

    // From one mark of JSON or of a table to the next, a value is replaced by another.
    private byte[] ReplaceText(byte[] input)
    {
        ReadOnlySpan<byte> marks = "\"{}[]:, \n"u8;
        int start = input.AsSpan(0, Place(input)).LastIndexOfAny(marks) + 1;
        int length = input.AsSpan(start).IndexOfAny(marks);
        return [.. input[..start], .. Encoding.ASCII.GetBytes(Pick(_texts)), .. length < 0 ? [] : input[(start + length)..]];
    }

    private int Place(byte[] input) => _random.Next(input.Length);

    // Mostly short ones.
    private int Length(byte[] input, int start) => Math.Min(input.Length - start, 1 << _random.Next(8));

    private T Pick<T>(IReadOnlyList<T> values) => values[_random.Next(values.Count)];

    private static byte[] With(byte[] input, int place, byte value)
    {
        byte[] changed = [.. input];
        changed[place] = value;
        return changed;
    }
}
