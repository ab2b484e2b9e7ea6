using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>All of a run that must survive its silo. It is written after each round, and never changed in place.</summary>
[GenerateSerializer]
[Alias("Microsoft.ML.Leap.TrainingRunState")]
internal sealed record TrainingRunState
{
    /// <summary>Gets what the workers have in common; <see langword="null"/> before the first one.</summary>
    [Id(0)]
    public RunTerms? Terms { get; init; }

    /// <summary>Gets what the first worker decided, as it travels; empty before that.</summary>
    [Id(1)]
    public byte[] Plan { get; init; } = [];

    [Id(2)]
    public RoundSteps Steps { get; init; }

    [Id(3)]
    public RunPhase Phase { get; init; }

    [Id(4)]
    public int Round { get; init; }

    /// <summary>Gets the workers whose differences the round waits for, by rank.</summary>
    [Id(5)]
    public SortedDictionary<int, Guid> Members { get; init; } = [];

    /// <summary>Gets the shared weights in single precision.</summary>
    [Id(6)]
    public byte[] Weights { get; init; } = [];

    [Id(7)]
    public byte[] Velocity { get; init; } = [];

    [Id(8)]
    public byte[] Rest { get; init; } = [];

    /// <summary>Gets the change of the shared weights after the round before this one, as it travels.</summary>
    [Id(9)]
    public byte[] Change { get; init; } = [];

    [Id(10)]
    public double? ValidationLoss { get; init; }

    /// <summary>Gets a sum over the shared weights, by which a worker knows whether it has the same.</summary>
    public ulong WeightSum => XxHash3.HashToUInt64(Weights);

    /// <summary>Gives the shared weights to compute with.</summary>
    public OuterWeights GetOuterWeights() => new(ToFloats(Weights), ToFloats(Velocity), ToFloats(Rest));

    /// <summary>Gives a state with other shared weights.</summary>
    public TrainingRunState With(OuterWeights weights, byte[] change) => this with
    {
        Weights = ToBytes(weights.Weights),
        Velocity = ToBytes(weights.Velocity),
        Rest = ToBytes(weights.Rest),
        Change = change,
    };

    /// <summary>Gives weights as bytes: little-endian, as all machines that .NET runs on are but one.</summary>
    public static byte[] ToBytes(float[] values) => MemoryMarshal.AsBytes<float>(values).ToArray();

    public static float[] ToFloats(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();
}
