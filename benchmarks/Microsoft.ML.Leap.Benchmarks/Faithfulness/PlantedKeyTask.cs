namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>A key at the beginning decides the token at the end: start, key, random filler, question, and the answer, one for each
/// key.</summary>
internal static class PlantedKeyTask
{
    public const int KeyCount = 8;
    public const int FillerKinds = 32;
    private const int Start = 0;
    private const int Question = 1;
    private const int FirstKey = 2;
    private const int FirstAnswer = FirstKey + KeyCount;
    private const int FirstFiller = FirstAnswer + KeyCount;

    public const int VocabularySize = FirstFiller + FillerKinds;

    /// <summary>Tokens of a sequence beside the filler.</summary>
    public const int Overhead = 4;

    /// <summary>The place of the key.</summary>
    public const int KeyPlace = 1;

    public static double Chance => 1.0 / KeyCount;

    /// <summary>Makes a sequence; from the key to the question there are <paramref name="distance"/> places.</summary>
    public static int[] Make(Random random, int distance)
    {
        int key = random.Next(KeyCount);
        return
        [
            Start, FirstKey + key, .. Enumerable.Range(0, distance - 1).Select(_ => FirstFiller + random.Next(FillerKinds)), Question,
            FirstAnswer + key,
        ];
    }
}
