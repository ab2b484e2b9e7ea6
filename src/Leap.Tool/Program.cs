using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Leap.Tool;

// The first request to end is passed on to the command; a second one ends the process.
using var ending = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
return await LeapTool.RunAsync(args, new InvocationConfiguration(), ending.Token);

void End(PosixSignalContext context)
{
    context.Cancel = !ending.IsCancellationRequested;
    ending.Cancel();
}

namespace Leap.Tool
{
    /// <summary>The command line.</summary>
    internal static partial class LeapTool
    {
        private const int Failed = 1;
        private const int WrongUsage = 2;

        // For who mends the tool.
        private const string TraceVariable = "LEAP_TRACE";

        /// <summary>Runs a command line.</summary>
        /// <param name="arguments">Its arguments.</param>
        /// <param name="configuration">Where output and errors go.</param>
        /// <param name="cancellationToken">Asks the command to end.</param>
        /// <returns>0; 1 where the command failed, 2 where it was not understood.</returns>
        public static async Task<int> RunAsync(string[] arguments, InvocationConfiguration configuration, CancellationToken cancellationToken)
        {
            // A command line means the same on every machine: 0.004 is no 4 where the comma is the decimal sign. It holds until this method ends.
            CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
            configuration.EnableDefaultExceptionHandler = false;
            configuration.ProcessTerminationTimeout = null;
            RootCommand root = CreateRoot();
            ParseResult parsed = root.Parse(arguments);
            TextWriter error = configuration.Error;
            if (parsed.Action is not HelpAction && FindUnknownOption(parsed) is string unknown)
            {
                error.WriteLine(
                    $"leap: There is no option {unknown}. Run '{GetPath(parsed.CommandResult.Command)} --help' for help; " +
                    "a name or text that begins with a dash goes after --.");
                return WrongUsage;
            }

            if (parsed.Errors.Count > 0 && parsed.Action is not HelpAction)
            {
                error.WriteLine($"leap: {Describe(parsed.Errors[0]).TrimEnd('.')}. Run '{GetPath(parsed.CommandResult.Command)} --help' for help.");
                return WrongUsage;
            }

            try
            {
                return await parsed.InvokeAsync(configuration, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (Environment.GetEnvironmentVariable(TraceVariable) != "1")
            {
                error.WriteLine($"leap: {Describe(exception)}");
                return exception is UsageException or ArgumentException ? WrongUsage : Failed;
            }
        }

        private static RootCommand CreateRoot()
        {
            var root = new RootCommand("Language models that are trained on your own texts, and run anywhere .NET runs.")
            {
                TrainCommand.Create(),
                ScoreCommand.Create(),
                GenerateCommand.Create(),
                ExplainCommand.Create(),
                EvaluateCommand.Create(),
                InfoCommand.Create(),
                ConvertCommand.Create(),
                ServeCommand.Create(),
                SiloCommand.Create(),
                BackendCommand.Create(),
            };
            root.HelpName = "leap";
            return root;
        }

        private static string GetPath(Command command) =>
            command is RootCommand ? "leap" : $"{GetPath((Command)command.Parents.First())} {command.Name}";

        // The library takes a misspelt option for a file or a text, as arguments may be anything; only what stands after -- may look like an option.
        private static string? FindUnknownOption(ParseResult parsed)
        {
            Token[] values =
            [
                .. parsed.CommandResult.Children.OfType<OptionResult>().Where(result => !result.Option.AllowMultipleArgumentsPerToken)
                    .SelectMany(result => result.Tokens),
            ];
            return parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash)
                .Where(token => token.Type == TokenType.Argument && OptionLike().IsMatch(token.Value) && !values.Any(value => ReferenceEquals(value, token)))
                .Select(token => OptionLike().Match(token.Value).Groups[1].Value).FirstOrDefault();
        }

        [GeneratedRegex(@"^(--?\p{L}[\w-]*)(?:[=:]|$)")]
        private static partial Regex OptionLike();

        // The library names the types of .NET that a value should have had.
        private static string Describe(ParseError error)
        {
            if (error.SymbolResult is not OptionResult { Tokens: [.., Token value] } result || !error.Message.StartsWith("Cannot parse", StringComparison.Ordinal))
                return error.Message;
            Type type = Nullable.GetUnderlyingType(result.Option.ValueType) ?? result.Option.ValueType;
            string expected = type.IsEnum ? $"one of {string.Join(", ", Enum.GetNames(type).Select(JsonNamingPolicy.CamelCase.ConvertName))}"
                : type == typeof(double) ? "a number"
                : "a whole number";
            return $"{result.Option.Name} must be {expected}, but is '{value.Value}'";
        }

        // What .NET adds for programmers is left out.
        private static string Describe(Exception exception) => exception switch
        {
            OperationCanceledException => "Stopped.",
            ArgumentException { ParamName: string name } argument => argument.Message.Split($" (Parameter '{name}')")[0],
            AggregateException { InnerException: Exception inner } => Describe(inner),
            UsageException or IOException or FormatException or InvalidOperationException or UnauthorizedAccessException => exception.Message,
            _ => $"{exception.Message} ({exception.GetType().Name}; {TraceVariable}=1 shows where)",
        };
    }

    /// <summary>The command was called in a way that it does not understand; the message says what to do.</summary>
    internal sealed class UsageException(string message) : Exception(message);
}
