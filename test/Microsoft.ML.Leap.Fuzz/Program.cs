using System.Diagnostics;
using System.Runtime.InteropServices;
using SharpFuzz;
using Trace = SharpFuzz.Common.Trace;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>Fuzzing by hand and by afl++; docs/security.md tells how.</summary>
internal static class Program
{
    private const string Usage = """
        usage: Microsoft.ML.Leap.Fuzz VERB

          list                     name the targets
          afl TARGET               read inputs from afl-fuzz; eng/fuzz.sh starts this
          try TARGET FILE...       read files, and show what goes wrong
          mutate TARGET COUNT [N]  read so many damaged seeds, from the random number N on, and keep what goes wrong
          seeds FOLDER             write all seeds anew
        """;

    // afl's map has as many, one per hash of two places in the code.
    private const int CoverageBytes = 1 << 16;

    public static int Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["list"]:
                foreach (FuzzTarget target in FuzzTarget.All)
                    Console.WriteLine($"{target.Name,-20} {target.Reads}");
                return 0;
            case ["afl", string name]:
                RunAfl(name);
                return 0;
            case ["try", string name, .. string[] files]:
                return Try(FuzzTarget.Find(name), files);
            case ["mutate", string name, string count]:
                return Mutate(FuzzTarget.Find(name), int.Parse(count), seed: 1);
            case ["mutate", string name, string count, string seed]:
                return Mutate(FuzzTarget.Find(name), int.Parse(count), int.Parse(seed));
            case ["seeds", string folder]:
                Seeds.Write(folder);
                return 0;
            default:
                Console.Error.WriteLine(Usage);
                return 2;
        }
    }

    private static unsafe void RunAfl(string name)
    {
        // Instrumented code counts in afl's memory, which is there only when SharpFuzz runs; before that it counts here.
        Trace.SharedMem = (byte*)NativeMemory.AllocZeroed(CoverageBytes);
        FuzzTarget target = FuzzTarget.Find(name);

        // What is compiled and made once is no part of an input's cost.
        foreach ((_, byte[] content) in Seeds.Read(SeedFolder, target))
            target.Try(content);
        Fuzzer.Run(stream =>
        {
            using var input = new MemoryStream();
            stream.CopyTo(input);
            target.Try(input.ToArray());
        });
    }

    private static int Try(FuzzTarget target, string[] files)
    {
        int faults = 0;
        foreach (string file in files)
        {
            byte[] content = File.ReadAllBytes(file);
            try
            {
                // The first call compiles what it uses.
                Ignore(target, content);
                Console.WriteLine($"{file}: {(target.Try(content) ? "accepted" : "refused")}");
            }
            catch (FuzzFault fault)
            {
                faults++;
                Console.WriteLine($"{file}: {fault}");
            }
        }

        return faults == 0 ? 0 : 1;
    }

    private static void Ignore(FuzzTarget target, byte[] content)
    {
        try
        {
            target.Try(content);
        }
        catch (FuzzFault fault)
        {
            Debug.WriteLine(fault);
        }
    }

    private static int Mutate(FuzzTarget target, int count, int seed)
    {
        byte[][] seeds = [.. Seeds.Read(SeedFolder, target).Select(file => file.Content)];
        foreach (byte[] content in seeds)
            target.Try(content);
        var mutator = new Mutator(seed, seeds);
        var watch = Stopwatch.StartNew();
        (int accepted, int faults) = (0, 0);
        var seen = new HashSet<string>();
        for (int i = 0; i < count; i++)
        {
            byte[] input = mutator.Next();
            try
            {
                accepted += target.Try(input) ? 1 : 0;
            }
            catch (FuzzFault fault)
            {
                faults++;
                string place = fault.InnerException is Exception e ? $"{e.GetType()} {e.StackTrace?.Split('\n')[0]}" : "bounds";
                if (!seen.Add(place))
                    continue;
                string file = $"{target.Name}-{seed}-{i}";
                File.WriteAllBytes(file, input);
                Console.WriteLine($"{file}: {fault.Message}\n{fault.InnerException?.StackTrace}");
            }
        }

        Console.WriteLine($"{target.Name}: {count} inputs, {accepted} accepted, {faults} faults, {watch.Elapsed.TotalSeconds:0.0} s");
        return faults == 0 ? 0 : 1;
    }

    private static string SeedFolder => Path.Combine(AppContext.BaseDirectory, "seeds");
}
