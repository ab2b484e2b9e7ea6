namespace Microsoft.ML.Leap;

/// <summary>Where and when a run writes checkpoints.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Interval">How often.</param>
/// <param name="Kept">How many are kept, beside the best.</param>
/// <param name="Resume">Whether the run goes on from the latest.</param>
/// <param name="WriteModel">Writes the model's files: at least the weights.</param>
internal sealed record CheckpointSettings(string Folder, TrainingInterval Interval, int Kept, bool Resume, Action<IModelTarget> WriteModel);
