using Microsoft.ML;
using Microsoft.ML.Leap;
using Microsoft.ML.Runtime;

[assembly: LoadableClass(
    typeof(LeapLanguageModelTransformer), typeof(TransformerLoader), null, typeof(SignatureLoadModel), ModelZip.UserName, ModelZip.LoaderSignature)]

namespace Microsoft.ML.Leap;

/// <summary>Where <c>mlContext.Model.Load</c> arrives: ML.NET finds it by the assembly and signature in the zip.</summary>
internal static class TransformerLoader
{
    private static LeapLanguageModelTransformer Create(IHostEnvironment environment, ModelLoadContext context) =>
        ModelZip.Load(context, source => LeapLanguageModelTransformer.Load(environment, source));
}
