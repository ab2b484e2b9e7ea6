using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Leap.Tests;

/// <summary>Tests of <see cref="SimdVector512"/> need a processor with AVX-512.</summary>
internal static class WideVectors
{
    public static void Require()
    {
        if (!Avx512F.IsSupported)
            Assert.Inconclusive("This processor has no AVX-512.");
    }
}
