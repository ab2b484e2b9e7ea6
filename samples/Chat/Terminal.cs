using Microsoft.Extensions.AI;

namespace Chat;

/// <summary>Reads lines and writes their continuations as they come.</summary>
internal sealed class Terminal(IChatClient client, ChatOptions options)
{
    public async Task RunAsync(TextReader input, TextWriter output)
    {
        await output.WriteAsync("> ");
        while (await input.ReadLineAsync() is { Length: > 0 } prompt)
        {
            await AnswerAsync(prompt, output);
            await output.WriteAsync("\n> ");
        }
    }

    private async Task AnswerAsync(string prompt, TextWriter output)
    {
        using var cancellation = new CancellationTokenSource();
        ConsoleCancelEventHandler cancel = (_, e) =>
        {
            e.Cancel = true;
            cancellation.Cancel();
        };
        Console.CancelKeyPress += cancel;
        try
        {
            await output.WriteAsync(prompt);
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(prompt, options, cancellation.Token))
            {
                await output.WriteAsync(update.Text);
                await output.FlushAsync(CancellationToken.None);
            }
        }
        catch (OperationCanceledException)
        {
            await output.WriteAsync(" ...");
        }
        finally
        {
            Console.CancelKeyPress -= cancel;
        }
    }
}
