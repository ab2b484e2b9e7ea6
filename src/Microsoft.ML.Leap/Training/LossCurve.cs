using System.Globalization;
using System.Text;

namespace Microsoft.ML.Leap;

/// <summary>Draws training and validation loss by step as an SVG. The lines differ in colour, in dashes and in their marks.</summary>
internal static class LossCurve
{
    private const int Width = 640;
    private const int Height = 300;
    private const int Left = 64;
    private const int Right = 36;
    private const int Top = 34;
    private const int Bottom = 44;
    private const int MostMarks = 25;

    private static readonly Line s_training = new("training", DisplayColors.First, "", IsSquare: false);
    private static readonly Line s_validation = new("validation", DisplayColors.Second, "6 4", IsSquare: true);

    public static string Draw(IReadOnlyList<TrainingRecord> records)
    {
        (Line Line, List<List<(long Step, double Loss)>> Runs)[] curves =
        [
            (s_training, CurvePoints.Runs(records, record => record.TrainingLoss)),
            (s_validation, CurvePoints.Runs(records, record => record.ValidationLoss)),
        ];
        double[] losses = [.. curves.SelectMany(curve => curve.Runs).SelectMany(run => run).Select(point => point.Loss)];
        CurveAxis steps = CurveAxis.Over(0, Math.Max(1, records.Max(record => record.Step)), leastStep: 1);
        CurveAxis values = CurveAxis.Over(losses.DefaultIfEmpty(0).Min(), losses.DefaultIfEmpty(1).Max(), leastStep: 1e-4);

        var svg = new StringBuilder("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"Loss by step\" ");
        Append(svg, $"width=\"{Width}\" height=\"{Height}\" viewBox=\"0 0 {Width} {Height}\" ");
        svg.Append("fill=\"currentColor\" font-size=\"12\" style=\"max-width:100%;height:auto\">");
        AppendAxes(svg, steps, values);
        int legend = Left;
        foreach ((Line line, List<List<(long, double)>> runs) in curves.Where(curve => curve.Runs.Count > 0))
        {
            AppendLegend(svg, line, legend);
            legend += 110;
            foreach (List<(long, double)> run in runs)
                AppendRun(svg, line, run, steps, values, isMarked: records.Count <= MostMarks);
        }

        return svg.Append("</svg>").ToString();
    }

    private static void AppendAxes(StringBuilder svg, CurveAxis steps, CurveAxis values)
    {
        foreach ((double value, string label) in values.Labels)
        {
            double y = Y(values, value);
            Append(svg, $"<path d=\"M{Left} {y:0.##}H{Width - Right}\" stroke=\"currentColor\" stroke-opacity=\".2\"/>");
            Append(svg, $"<text x=\"{Left - 6}\" y=\"{y + 4:0.##}\" text-anchor=\"end\">{label}</text>");
        }

        foreach ((double value, string label) in steps.Labels)
        {
            double x = X(steps, value);
            Append(svg, $"<path d=\"M{x:0.##} {Height - Bottom}v4\" stroke=\"currentColor\"/>");
            Append(svg, $"<text x=\"{x:0.##}\" y=\"{Height - Bottom + 17}\" text-anchor=\"middle\">{label}</text>");
        }

        Append(svg, $"<path d=\"M{Left} {Top}V{Height - Bottom}H{Width - Right}\" fill=\"none\" stroke=\"currentColor\"/>");
        Append(svg, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 6}\" text-anchor=\"middle\">step</text>");
        Append(svg, $"<text transform=\"translate(13 {(Top + Height - Bottom) / 2}) rotate(-90)\" text-anchor=\"middle\">");
        svg.Append("loss (nats per token)</text>");
    }

    private static void AppendLegend(StringBuilder svg, Line line, int x)
    {
        AppendPath(svg, line, $"M{x} 14h32");
        AppendMark(svg, line, x + 16, 14, "");
        Append(svg, $"<text x=\"{x + 40}\" y=\"18\">{line.Name}</text>");
    }

    private static void AppendRun(
        StringBuilder svg, Line line, List<(long Step, double Loss)> run, CurveAxis steps, CurveAxis values, bool isMarked)
    {
        if (run.Count > 1)
        {
            IEnumerable<string> places = run.Select(point =>
                string.Create(CultureInfo.InvariantCulture, $"{X(steps, point.Step):0.##} {Y(values, point.Loss):0.##}"));
            AppendPath(svg, line, $"M{string.Join('L', places)}");
        }

        // A point between two gaps has no line.
        if (!isMarked && run.Count > 1)
            return;
        foreach ((long step, double loss) in run)
        {
            string title = $"{line.Name} loss {DisplayText.Number(loss, "0.0000")} at step {DisplayText.Count(step)}";
            AppendMark(svg, line, X(steps, step), Y(values, loss), title);
        }
    }

    private static void AppendPath(StringBuilder svg, Line line, string path) =>
        Append(svg, $"<path d=\"{path}\" fill=\"none\" stroke=\"{line.Color}\" stroke-width=\"2\" stroke-dasharray=\"{line.Dashes}\"/>");

    private static void AppendMark(StringBuilder svg, Line line, double x, double y, string title)
    {
        Append(svg, $"<g fill=\"{line.Color}\"><title>{title}</title>");
        if (line.IsSquare)
            Append(svg, $"<rect x=\"{x - 3.5:0.##}\" y=\"{y - 3.5:0.##}\" width=\"7\" height=\"7\"/></g>");
        else
            Append(svg, $"<circle cx=\"{x:0.##}\" cy=\"{y:0.##}\" r=\"3\"/></g>");
    }

    private static void Append(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture));

    private static double X(CurveAxis steps, double step) => Left + steps.Place(step) * (Width - Left - Right);

    private static double Y(CurveAxis values, double loss) => Height - Bottom - values.Place(loss) * (Height - Top - Bottom);

    private sealed record Line(string Name, string Color, string Dashes, bool IsSquare);
}

/// <summary>An axis from one round number to another.</summary>
internal sealed record CurveAxis(double Low, double High, double Step)
{
    private const int Intervals = 5;

    // Finer labels would be the same number.
    private const double LeastRelativeStep = 1e-9;

    /// <summary>Makes an axis over values.</summary>
    /// <param name="least">The least of them.</param>
    /// <param name="greatest">The greatest.</param>
    /// <param name="leastStep">The least distance of two labels, over 0.</param>
    public static CurveAxis Over(double least, double greatest, double leastStep)
    {
        double rough = Math.Max(Math.Max((greatest - least) / Intervals, leastStep), LeastRelativeStep * Math.Abs(greatest));
        double magnitude = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = magnitude * ((rough / magnitude) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 });
        double low = Math.Floor(least / step) * step;
        return new CurveAxis(low, Math.Max(Math.Ceiling(greatest / step) * step, low + step), step);
    }

    public IEnumerable<(double Value, string Label)> Labels
    {
        get
        {
            int decimals = Math.Clamp((int)-Math.Floor(Math.Log10(Step)), 0, 9);
            string format = High < 1e9 ? $"N{decimals}" : "G4";
            for (int i = 0; i <= (int)Math.Round((High - Low) / Step); i++)
                yield return (Low + i * Step, (Low + i * Step).ToString(format, CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Gives a value's place: 0 at the axis's low end, 1 at its high end.</summary>
    public double Place(double value) => (value - Low) / (High - Low);
}

/// <summary>A loss by steps, as runs of points without a gap.</summary>
internal static class CurvePoints
{
    // As many as have a pixel or two each.
    private const int MostRecords = 400;

    // Beyond it a loss tells nothing that a scale could show.
    private const double GreatestDrawn = 1e30;

    /// <summary>Reads a loss from records. Where it is missing or not finite, a run ends. Of many records each group keeps the least and
    /// the greatest loss, so that no peak is lost.</summary>
    public static List<List<(long Step, double Loss)>> Runs(IReadOnlyList<TrainingRecord> records, Func<TrainingRecord, double?> loss)
    {
        List<List<(long, double)>> runs = [];
        bool isOpen = false;
        foreach (TrainingRecord[] group in records.Chunk(GroupSize(records.Count)))
        {
            (long Step, double Loss)[] points =
                [.. group.Where(record => IsDrawn(loss(record))).Select(record => (record.Step, loss(record)!.Value))];
            if (points.Length > 0)
            {
                if (!isOpen)
                    runs.Add([]);
                runs[^1].AddRange(Extremes(points));
            }

            isOpen = points.Length > 0;
        }

        return runs;
    }

    private static IEnumerable<(long Step, double Loss)> Extremes((long Step, double Loss)[] points) =>
        new[] { points.MinBy(point => point.Loss), points.MaxBy(point => point.Loss) }.Distinct().OrderBy(point => point.Step);

    private static int GroupSize(int count) => count <= MostRecords ? 1 : (count + MostRecords / 2 - 1) / (MostRecords / 2);

    private static bool IsDrawn(double? loss) => Math.Abs(loss ?? double.NaN) < GreatestDrawn;
}
