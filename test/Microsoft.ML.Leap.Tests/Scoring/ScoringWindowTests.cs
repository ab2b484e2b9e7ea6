namespace Microsoft.ML.Leap.Tests;

[TestClass]
public class ScoringWindowTests
{
    [TestMethod]
    public void Cover_AnyRow_ScoresEachTokenOnceFromAtLeastHalfAContext()
    {
        foreach (int context in new[] { 1, 2, 3, 8, 9 })
        {
            for (int count = 0; count < 40; count++)
            {
                int[] scored = new int[count];
                foreach (ScoringWindow window in ScoringWindow.Cover(5, count, context))
                {
                    Assert.AreEqual(5, window.Row);
                    Assert.IsTrue(window.Length >= 1 && window.Length <= context);
                    Assert.IsTrue(window.Start == 0 || window.FirstScored - window.Start >= context / 2);
                    for (int t = window.FirstScored; t < window.End; t++)
                        scored[t]++;
                }

                Assert.IsTrue(scored.All(times => times == 1), $"context {context}, {count} tokens");
            }
        }
    }
}
