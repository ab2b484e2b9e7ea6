using System.Reflection;
using System.Reflection.Emit;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Tests;

/// <summary>That the host waits for a GPU once in a training step: where the step reads its loss and norm.</summary>
/// <remarks>Two checks together: what torch's operations ask for by themselves, in a profile of a step that the CPU takes by a GPU's operations; and
/// which methods of the package read a number or copy, in their compiled code, because TorchSharp reads the CPU's numbers without an operation.</remarks>
[TestClass]
public class TrainingStepTests
{
    private static readonly string[] Texts = ["a cat", "the dog sleeps", "x", "a house, and another house", "who sees", "the cat and the dog"];

    // Operations that make the host wait: for a number, or for how many values a result has.
    private static readonly string[] Questions = ["aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::masked_select", "aten::equal"];

    [TestMethod]
    [DataRow(TrainingOptimizer.AdamW, TrainingPrecision.Float32, true)]
    [DataRow(TrainingOptimizer.Muon, TrainingPrecision.BFloat16, false)]
    public void Step_InTheOperationsOfAGpu_AsksTheDeviceForNothing(TrainingOptimizer optimizer, TrainingPrecision precision, bool usesPositions)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("TorchProfile is for Linux.");
        using var run = new PlainRun(options =>
        {
            options.Optimizer = optimizer;
            options.Precision = precision;
            options.UsePositionEmbeddings = usesPositions;
        });

        IReadOnlyDictionary<string, int> operations = TorchProfile.Count(() =>
        {
            run.Step.ComputeGradients(run.Batches, seed: 1);
            run.Step.Optimizer.Step(1e-3, 0.5);
        });

        Assert.IsGreaterThan(0, operations.GetValueOrDefault("aten::cumsum"), "the GPU's form of attention");
        Assert.AreEqual("", string.Join(", ", operations.Keys.Intersect(Questions)));
    }

    [TestMethod]
    public void TorchProfile_OfAQuestion_CountsIt()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("TorchProfile is for Linux.");
        using DisposeScope scope = NewDisposeScope();
        IReadOnlyDictionary<string, int> operations = TorchProfile.Count(() =>
        {
            ones(2).nonzero();
            ones(2).masked_select(ones(2, ScalarType.Bool));
        });
        CollectionAssert.IsSubsetOf(new[] { "aten::nonzero", "aten::masked_select" }, operations.Keys.ToArray());
    }

    [TestMethod]
    public void Run_InTheOperationsOfAGpu_TakesTheStepOfTheKernels()
    {
        float[][] weights = [.. new[] { true, false }.Select(isHidden =>
        {
            using var run = new PlainRun(_ => { });
            RawMemory.IsHidden = isHidden;
            StepResult result = run.Step.Run(run.Batches, 1e-2, seed: 1);
            Assert.IsTrue(result.IsTaken);
            Assert.AreEqual(run.Blocks.TargetCount, result.Tokens);
            return (float[])[(float)result.Loss, (float)result.GradientNorm, .. TrainingSamples.GetWeights(run.Model)];
        })];

        Assert.IsLessThan(1e-3f, weights[0].Zip(weights[1], (a, b) => Math.Abs(a - b)).Max());
    }

    [TestMethod]
    public void Package_ReadsNumbersAndCopiesToDevices_InTheseMethodsAlone()
    {
        string[] expected =
        [
            // Before a step's first operation, and its one read.
            "TokenBlocks.Batch", "TokenBlocks.Pack", "TrainingStep.Read",

            // Evaluation and scoring.
            "GpuScorer.ComputeBatch", "LanguageModelLoss.Mean", "LanguageModelLoss.SumOfPacked", "LanguageModelLoss.SumOfPadded",
            "SoftmaxCrossEntropy.RowLosses", "TokenLosses.Compute", "TokenLosses.Mix",

            // On the CPU alone.
            "LinearCrossEntropy.Real", "LinearCrossEntropy.backward", "SoftmaxCrossEntropy.OnCpu",

            // Before the first step and after the last one.
            "LeapModel.GetWeights", "LeapModel.SetWeights", "MatrixProductSpeed.Seconds", "TensorFiles.ReadInto", "TensorFiles.WriteData",
            "WeightInitializer.Normal",

            // Between the rounds of workers that train together.
            "WeightExchange.Read", "WeightExchange.Write",
        ];
        IEnumerable<string> found = typeof(TrainingStep).Assembly.GetTypes().SelectMany(HostCopies.FindMethods).Distinct();
        Assert.AreEqual(Join(expected), Join(found));

        static string Join(IEnumerable<string> names) => string.Join("\n", names.Order(StringComparer.Ordinal));
    }

    /// <summary>Steps of a small network in the operations that a GPU takes.</summary>
    private sealed class PlainRun : IDisposable
    {
        private readonly DisposeScope _scope = NewDisposeScope();
        private readonly TokenizedCorpus _corpus;

        public PlainRun(Action<LeapLanguageModelTrainer.Options> change)
        {
            RawMemory.IsHidden = true;
            LeapLanguageModelTrainer.Options options = TinyModel.Options();
            options.ConvolutionSize = 4;
            options.UseForgetGates = true;
            options.Precision = TrainingPrecision.Float32;
            change(options);
            LeapTokenizer tokenizer = TokenizerOptions.Bytes().Create([], CancellationToken.None);
            _corpus = TokenizedCorpus.Encode(Texts.Select(text => text.AsMemory()), tokenizer, long.MaxValue, Path.GetTempPath());
            Blocks = new DocumentBlocks(_corpus, options.ContextLength!.Value);
            Model = new LeapModel(options.MakeConfig(tokenizer.VocabularySize), CPU, 1);
            Model.train();
            Step = new TrainingStep(Model, Blocks, options);
            Batches = [.. Blocks.InBatches(1)];
        }

        public TokenBlocks Blocks { get; }

        public LeapModel Model { get; }

        public TrainingStep Step { get; }

        public TokenBlock[][] Batches { get; }

        public void Dispose()
        {
            RawMemory.IsHidden = false;
            Step.Dispose();
            Model.Dispose();
            _corpus.Dispose();
            _scope.Dispose();
        }
    }

    /// <summary>Finds the methods that call members of TorchSharp which read numbers or copy between the host and a device.</summary>
    private static class HostCopies
    {
        private const BindingFlags All =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

        private static readonly Dictionary<int, OpCode> OpCodesByValue = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value & 0xffff);

        public static IEnumerable<string> FindMethods(Type type) => type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All))
            .Where(method => Calls(method).Any(Copies)).Select(Name);

        private static bool Copies(MethodBase called)
        {
            if (called.DeclaringType?.Assembly != typeof(Tensor).Assembly)
                return false;
            bool takesDevice = called.GetParameters().Any(parameter => parameter.ParameterType == typeof(Device) || parameter.ParameterType == typeof(DeviceType));
            return called.Name is "item" or "cpu" or "cuda" or "nonzero" or "masked_select" or "equal" or "allclose" or "tensor" or "as_tensor" or "from_array"
                || (called.Name == "to" && takesDevice)
                || (called.Name.StartsWith("To", StringComparison.Ordinal) && called.Name != "ToScalar" && called.GetParameters() is [{ ParameterType: var first }] && first == typeof(Tensor))
                || (called.Name is "op_Explicit" or "op_Implicit" && called.GetParameters()[0].ParameterType == typeof(Tensor));
        }

        // A lambda's code stands in a nested type or a method named after the one it is written in.
        private static string Name(MethodBase method)
        {
            Type type = method.DeclaringType!;
            string name = method.Name.StartsWith('<') ? method.Name[1..method.Name.IndexOf('>', StringComparison.Ordinal)] : method.Name;
            while (type.DeclaringType is Type outer)
            {
                if (type.Name.StartsWith('<') && type.Name.IndexOf('>', StringComparison.Ordinal) is var end and > 1)
                    name = type.Name[1..end];
                type = outer;
            }

            return $"{type.Name}.{name}";
        }

        private static IEnumerable<MethodBase> Calls(MethodBase method)
        {
            byte[] code = method.GetMethodBody()?.GetILAsByteArray() ?? [];
            for (int at = 0; at < code.Length;)
            {
                int value = code[at++];
                if (value == 0xfe)
                    value = 0xfe00 | code[at++];
                OpCode operation = OpCodesByValue[value];
                if (operation.OperandType == OperandType.InlineMethod)
                {
                    Type[]? ofType = method.DeclaringType!.IsGenericType ? method.DeclaringType.GetGenericArguments() : null;
                    Type[]? ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : null;
                    yield return method.Module.ResolveMethod(BitConverter.ToInt32(code, at), ofType, ofMethod)!;
                }

                at += operation.OperandType switch
                {
                    OperandType.InlineNone => 0,
                    OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                    OperandType.InlineVar => 2,
                    OperandType.InlineI8 or OperandType.InlineR => 8,
                    OperandType.InlineSwitch => 4 + 4 * BitConverter.ToInt32(code, at),
                    _ => 4,
                };
            }
        }
    }
}
