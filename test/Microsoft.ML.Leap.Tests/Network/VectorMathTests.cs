namespace Microsoft.ML.Leap.Tests;

[TestClass]
public unsafe class VectorMathTests
{
    [TestMethod]
    public void Exp_AnyNumber_IsTheExponential() => AssertIsExponential<SimdVector256>();

    [TestMethod]
    public void Exp_AnyNumberIn512Bits_IsTheExponential()
    {
        WideVectors.Require();
        AssertIsExponential<SimdVector512>();
    }

    [TestMethod]
    public void Exp_NumbersBeyondTheRange_AreLeastOrInfinite() => AssertIsLeastOrInfinite<SimdVector256>();

    [TestMethod]
    public void Exp_NumbersBeyondTheRangeIn512Bits_AreLeastOrInfinite()
    {
        WideVectors.Require();
        AssertIsLeastOrInfinite<SimdVector512>();
    }

    private static void AssertIsLeastOrInfinite<TVector>()
        where TVector : struct, ISimdVector<TVector>
    {
        float[] x = [-100, -1e30f, float.NegativeInfinity, 89, 1e30f, float.PositiveInfinity, float.NaN, 0];
        float[] results = Of<TVector>([.. x, .. x])[..8];
        Assert.IsTrue(results[..3].All(result => result is >= 0 and < 1.3e-38f));
        Assert.IsTrue(results[3..6].All(float.IsPositiveInfinity));
        Assert.IsTrue(float.IsNaN(results[6]));
        Assert.AreEqual(1, results[7]);
    }

    private static void AssertIsExponential<TVector>()
        where TVector : struct, ISimdVector<TVector>
    {
        for (float start = -87; start < 88; start += 0.037f * TVector.Count)
        {
            float[] x = [.. Enumerable.Range(0, TVector.Count).Select(i => Math.Min(88, start + 0.037f * i))];
            float[] results = Of<TVector>(x);
            for (int i = 0; i < x.Length; i++)
                Assert.AreEqual(1, results[i] / Math.Exp(x[i]), 3e-7, $"exp({x[i]})");
        }
    }

    private static float[] Of<TVector>(float[] x)
        where TVector : struct, ISimdVector<TVector>
    {
        float[] results = new float[x.Length];
        fixed (float* source = x, target = results)
            VectorMath.Exp(TVector.Load(source)).Store(target);
        return results;
    }
}
