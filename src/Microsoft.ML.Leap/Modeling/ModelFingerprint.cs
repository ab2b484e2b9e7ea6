using System.Security.Cryptography;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>Tells networks apart: SHA-256 of their shape and weights.</summary>
internal static class ModelFingerprint
{
    public static byte[] Of(LeapModel model)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using (var shape = new MemoryStream())
        {
            ConfigJson.Write(shape, model.Config);
            hash.AppendData(shape.ToArray());
        }

        foreach ((_, var weight) in model.Weights)
        {
            using DisposeScope scope = NewDisposeScope();
            hash.AppendData(weight.detach().cpu().bytes);
        }

        return hash.GetHashAndReset();
    }
}
