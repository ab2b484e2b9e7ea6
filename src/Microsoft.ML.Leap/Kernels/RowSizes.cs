namespace Microsoft.ML.Leap;

/// <summary>Rows of any size.</summary>
internal readonly struct AnyRowSize : IRowSize
{
    public static int Known => 0;
}

/// <summary>Rows of 32 values, the commonest head.</summary>
internal readonly struct RowSize32 : IRowSize
{
    public static int Known => 32;
}

/// <summary>Rows of 64 values.</summary>
internal readonly struct RowSize64 : IRowSize
{
    public static int Known => 64;
}
