using Microsoft.ML.Leap.Fuzz;

namespace Microsoft.ML.Leap.Tests.Fuzz;

/// <summary>Every reader of bytes from outside, given whole files, files that were faults once, and damaged ones.</summary>
[TestClass]
public class FuzzTargetTests
{
    private static readonly string _program = AppContext.BaseDirectory;

    public static IEnumerable<object[]> Names => FuzzTarget.All.Select(target => new object[] { target.Name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Try_Seeds_AreAccepted(string name)
    {
        FuzzTarget target = FuzzTarget.Find(name);
        IReadOnlyList<(string Name, byte[] Content)> seeds = Seeds.Read(Path.Combine(_program, "seeds"), target);
        Assert.IsNotEmpty(seeds);
        foreach ((string file, byte[] content) in seeds)
            Assert.IsTrue(target.Try(content), $"{file} was refused.");
    }

    // What is wrong with a file throws here.
    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Try_Findings_AreAcceptedOrRefused(string name)
    {
        FuzzTarget target = FuzzTarget.Find(name);
        foreach ((string file, byte[] content) in Seeds.Read(Path.Combine(_program, "findings"), target))
            Try(target, content, file);
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Try_DamagedSeeds_AreAcceptedOrRefused(string name)
    {
        FuzzTarget target = FuzzTarget.Find(name);
        byte[][] seeds = [.. Seeds.Read(Path.Combine(_program, "seeds"), target).Select(file => file.Content)];
        var mutator = new Mutator(seed: 1, seeds);
        int refused = 0;
        for (int i = 0; i < target.Mutations; i++)
        {
            byte[] input = mutator.Next();
            refused += Try(target, input, $"mutation {i}") ? 0 : 1;
        }

        Assert.IsGreaterThan(target.Mutations / 4, refused);
    }

    [TestMethod]
    public void Try_ReaderThatThrowsAnotherException_IsAFault()
    {
        var target = new FuzzTarget("test", "nothing", _ => throw new KeyNotFoundException());
        Assert.IsInstanceOfType<KeyNotFoundException>(Assert.ThrowsExactly<FuzzFault>(() => target.Try([])).InnerException);
    }

    [TestMethod]
    public void Try_ReaderThatTakesTooMuchMemory_IsAFault()
    {
        var target = new FuzzTarget("test", "nothing", _ => GC.KeepAlive(new byte[3 << 20])) { Megabytes = 2, BytesPerByte = 1 };
        Assert.ThrowsExactly<FuzzFault>(() => target.Try(new byte[10]));
        Assert.IsTrue(target.Try(new byte[2 << 20]));
    }

    [TestMethod]
    public void Try_ReaderThatTakesTooMuchTime_IsAFault()
    {
        var target = new FuzzTarget("test", "nothing", _ => Thread.SpinWait(1 << 22))
        {
            Time = TimeSpan.FromMilliseconds(1),
            TimePerByte = TimeSpan.Zero,
        };
        Assert.ThrowsExactly<FuzzFault>(() => target.Try([]));
    }

    private static bool Try(FuzzTarget target, byte[] input, string what)
    {
        try
        {
            return target.Try(input);
        }
        catch (FuzzFault fault)
        {
            string file = Path.Combine(Path.GetTempPath(), $"leap-{target.Name}-{Guid.NewGuid():N}");
            File.WriteAllBytes(file, input);
            throw new AssertFailedException($"{what}, kept as {file}: {fault.Message}", fault);
        }
    }
}
