using System.CommandLine;
using Microsoft.ML.Leap;
using Microsoft.ML.Leap.Benchmarks;

if (args is [ColdStart.Verb, string by, string model])
    return ColdStart.Answer(by, model);

var root = new RootCommand("Checks and measurements of Microsoft.ML.Leap.");
root.Subcommands.Add(GpuCommand.Create());
root.Subcommands.Add(ParityCommand.Create());
root.Subcommands.Add(TokensCommand.Create());
root.Subcommands.Add(ResumeCommand.Create());
root.Subcommands.Add(ShakespeareCommand.Create());
root.Subcommands.Add(Wikitext2Command.Create());
root.Subcommands.Add(TrainingCommand.Create());
root.Subcommands.Add(ContextCommand.Create());
root.Subcommands.Add(ScoringCommand.Create());
root.Subcommands.Add(InferenceCommand.Create());
root.Subcommands.Add(FaithfulnessCommand.Create());
root.Subcommands.Add(PositionsCommand.Create());
root.Subcommands.Add(GenerationCommand.Create());
root.Subcommands.Add(DriftCommand.Create());
root.Subcommands.Add(RecipesCommand.Create());
root.Subcommands.Add(AnomaliesCommand.Create());
root.Subcommands.Add(MicroCommand.Create());
#if SERVER
root.Subcommands.Add(ClusterCommand.Create());
root.Subcommands.Add(ServeCommand.Create());
#endif
ParseResult parsed = root.Parse(args);

// Before a verb's first tensor: TorchSharp's own way of loading fails where the system's C++ library is a little too old.
if (parsed.Action == parsed.CommandResult.Command.Action)
    NativeBackend.EnsureLoaded();
return parsed.Invoke();
