using System.Text.Json.Serialization;

namespace Microsoft.ML.Leap;

/// <summary>How answers are written: OpenAI's names, and no member for what is absent.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Completion))]
[JsonSerializable(typeof(EmbeddingList))]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(HealthStatus))]
[JsonSerializable(typeof(ModelDescription))]
[JsonSerializable(typeof(ModelInfo))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ScoreList))]
[JsonSerializable(typeof(float[]))]
[JsonSerializable(typeof(string))]
internal sealed partial class ServerJson : JsonSerializerContext;
