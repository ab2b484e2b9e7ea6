using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using QuickStart;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>What the verb "anomalies" found: how well a perplexity tells alerts from normal log lines, as the area under the ROC curve.</summary>
internal sealed record AnomaliesReport(
    int TrainingLines, int NormalLines, int Alerts, double AreaUnderCurveLeap, double AreaUnderCurveLogLikelihood, double AreaUnderCurveBigram, double SecondsLeap);

/// <summary>The verb "anomalies": alerts in a log of Loghub's BGL, found by a model of normal lines.</summary>
internal static class AnomaliesCommand
{
    // Columns before the message: label, time, date, node, time, node, type, component, level.
    private const int ColumnsBeforeMessage = 9;
    private const double TrainedPart = 0.6;

    public static System.CommandLine.Command Create()
    {
        var data = new Option<FileInfo>("--data")
        {
            Description = "A log in the format of Loghub's BGL: the first column is - for a normal line and a label for an alert",
            Required = true,
        };
        data.AcceptExistingOnly();
        var json = new Option<string?>("--json") { Description = "File for the result" };
        var command = new System.CommandLine.Command("anomalies", "Find alerts among log lines by the default model and by a bigram.") { data, json };
        command.SetAction(result => ReadableErrors.Run(() =>
        {
            AnomaliesReport report = Run([.. TextFile.ReadLines(result.GetRequiredValue(data).FullName)]);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{report.Alerts} alerts among {report.NormalLines} normal lines, after {report.TrainingLines} normal lines to train on: area under the curve " +
                $"by LEAP's perplexity {report.AreaUnderCurveLeap:0.0000}, by its log-likelihood {report.AreaUnderCurveLogLikelihood:0.0000}, " +
                $"by a bigram's perplexity {report.AreaUnderCurveBigram:0.0000}; trained in {report.SecondsLeap:0.0} s"));
            if (result.GetValue(json) is string path)
                JsonReport.Write(path, report);
        }));
        return command;
    }

    private static AnomaliesReport Run(string[] lines)
    {
        (string Message, bool IsAlert)[] messages = [.. lines
            .Select(line => line.Split(' ', ColumnsBeforeMessage + 1))
            .Where(columns => columns.Length > ColumnsBeforeMessage)
            .Select(columns => (columns[^1].Trim(), columns[0] != "-"))];
        string[] normal = [.. messages.Where(message => !message.IsAlert).Select(message => message.Message)];
        string[] alerts = [.. messages.Where(message => message.IsAlert).Select(message => message.Message)];
        if (alerts.Length == 0 || normal.Length < 10)
            throw new InvalidDataException($"The log has {normal.Length} normal lines and {alerts.Length} alerts; at least 10 and 1 are needed.");
        new Random(1).Shuffle(normal);
        string[] training = normal[..(int)(normal.Length * TrainedPart)];
        string[] others = normal[training.Length..];

        var context = new MLContext(seed: 1);
        long start = Stopwatch.GetTimestamp();
        using LeapLanguageModelTransformer model = context.Leap().LanguageModel().Fit(View(training));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Scored[] scored = [.. context.Data.CreateEnumerable<Scored>(model.Transform(View([.. others, .. alerts])), reuseRowObject: false)];

        LeapTokenizer tokenizer = CountedTokens.Choose(model.Tokenizer, training);
        var bigram = new NGramModel(2, tokenizer.VocabularySize);
        foreach (string text in training)
            bigram.Add(tokenizer.Encode(text));
        double[] losses = [.. others.Concat(alerts).Select(tokenizer.Encode).Select(ids => -bigram.LogLikelihood(ids) / ids.Count)];
        return new AnomaliesReport(
            training.Length, others.Length, alerts.Length,
            AreaUnderCurve([.. scored.Select(row => (double)row.Perplexity)]),
            AreaUnderCurve([.. scored.Select(row => -(double)row.LogLikelihood)]),
            AreaUnderCurve(losses), seconds);

        IDataView View(string[] texts) => context.Data.LoadFromEnumerable(texts.Select(text => new Document { Text = text }));
        double AreaUnderCurve(double[] scores) => RocCurve.Area(scores[..others.Length], scores[others.Length..]);
    }

    private sealed class Scored
    {
        public float Perplexity { get; set; }
        public float LogLikelihood { get; set; }
    }
}

/// <summary>The area under a receiver operating characteristic, by ML.NET: the probability that a positive case scores higher than a negative
/// one, half of it where they are equal.</summary>
internal static class RocCurve
{
    public static double Area(double[] negatives, double[] positives)
    {
        var context = new MLContext();
        IDataView cases = context.Data.LoadFromEnumerable(
            negatives.Select(score => new Case { Score = (float)score }).Concat(positives.Select(score => new Case { Label = true, Score = (float)score })));
        return context.BinaryClassification.EvaluateNonCalibrated(cases).AreaUnderRocCurve;
    }

    private sealed class Case
    {
        public bool Label { get; set; }
        public float Score { get; set; }

        // The evaluator asks for it; the area does not depend on it.
        public bool PredictedLabel { get; set; }
    }
}
