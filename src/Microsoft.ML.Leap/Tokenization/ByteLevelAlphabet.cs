namespace Microsoft.ML.Leap;

/// <summary>GPT-2's way to write bytes as visible characters: printable Latin-1 stands for itself, the others for U+0100 onwards.</summary>
internal static class ByteLevelAlphabet
{
    private static readonly char[] Characters = BuildCharacters();
    private static readonly Dictionary<char, byte> Bytes = Enumerable.Range(0, 256).ToDictionary(b => Characters[b], b => (byte)b);

    public static string Write(ReadOnlySpan<byte> bytes)
    {
        char[] text = new char[bytes.Length];
        for (int i = 0; i < text.Length; i++)
            text[i] = Characters[bytes[i]];
        return new string(text);
    }

    public static bool TryRead(ReadOnlySpan<char> text, out byte[] bytes)
    {
        bytes = new byte[text.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            if (!Bytes.TryGetValue(text[i], out bytes[i]))
                return false;
        }

        return true;
    }

    private static char[] BuildCharacters()
    {
        char[] characters = new char[256];
        int next = 256;
        for (int value = 0; value < 256; value++)
        {
            bool visible = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE and <= 0xFF;
            characters[value] = (char)(visible ? value : next++);
        }

        return characters;
    }
}
