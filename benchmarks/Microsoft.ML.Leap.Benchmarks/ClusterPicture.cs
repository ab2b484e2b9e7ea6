using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Draws the validation losses of runs by the tokens that all their workers have read.</summary>
internal static partial class ClusterPicture
{
    private const int Width = 680;
    private const int Height = 340;
    private const int Left = 56;
    private const int Right = 20;
    private const int Top = 20;
    private const int Bottom = 44;

    // Told apart without colours too: by dashes. (Okabe and Ito's palette.)
    private static readonly (string Colour, string Dashes)[] Styles =
        [("#0072b2", ""), ("#d55e00", "7 4"), ("#009e73", "2 3"), ("#cc79a7", "10 3 2 3"), ("#e69f00", "4 2"), ("#56b4e9", "1 2")];

    /// <summary>Reads the points of a run from what <c>leap train</c> wrote to its error stream.</summary>
    /// <param name="log">The file.</param>
    /// <param name="tokensPerStep">Tokens of a step, of all workers together.</param>
    public static List<(double Tokens, double Loss)> Read(string log, double tokensPerStep) =>
    [
        .. File.ReadLines(log).Select(line => Evaluation().Match(line)).Where(match => match.Success)
            .Select(match => (Number(match.Groups["step"]) * tokensPerStep, Number(match.Groups["loss"]))),
    ];

    /// <summary>Draws the runs as an SVG.</summary>
    public static string Draw(IReadOnlyList<(string Name, List<(double Tokens, double Loss)> Points)> runs)
    {
        double tokens = runs.Max(run => run.Points.Max(point => point.Tokens));
        double least = runs.Min(run => run.Points.Min(point => point.Loss));
        double most = runs.Max(run => run.Points.Max(point => point.Loss));
        var svg = new StringBuilder();
        Append(svg, $"<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"Validation loss by tokens\" width=\"{Width}\" height=\"{Height}\" ");
        Append(svg, $"viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"12\"><rect width=\"{Width}\" height=\"{Height}\" fill=\"#fff\"/>");
        for (int i = 0; i <= 4; i++)
        {
            double loss = least + (most - least) * i / 4;
            Append(svg, $"<path d=\"M{Left} {Y(loss):0.#}H{Width - Right}\" stroke=\"#ddd\"/><text x=\"{Left - 6}\" y=\"{Y(loss) + 4:0.#}\" text-anchor=\"end\">{loss:0.00}</text>");
            Append(svg, $"<text x=\"{X(tokens * i / 4):0.#}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{tokens * i / 4 / 1e6:0.0}</text>");
        }

        Append(svg, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 8}\" text-anchor=\"middle\">million tokens, of all workers</text>");
        for (int i = 0; i < runs.Count; i++)
        {
            (string colour, string dashes) = Styles[i % Styles.Length];
            string points = string.Join(' ', runs[i].Points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.Tokens):0.#},{Y(point.Loss):0.#}")));
            Append(svg, $"<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>");
            foreach ((double at, double loss) in runs[i].Points)
                Append(svg, $"<circle cx=\"{X(at):0.#}\" cy=\"{Y(loss):0.#}\" r=\"3\" fill=\"{colour}\"/>");
            int y = Top + 16 + 18 * i;
            Append(svg, $"<path d=\"M{Width - Right - 210} {y - 4}h30\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>");
            Append(svg, $"<text x=\"{Width - Right - 172}\" y=\"{y}\">{runs[i].Name}</text>");
        }

        return svg.Append("</svg>\n").ToString();

        double X(double value) => Left + (Width - Left - Right) * value / tokens;
        double Y(double value) => Top + (Height - Top - Bottom) * (most - value) / Math.Max(1e-9, most - least);
    }

    private static void Append(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture));

    private static double Number(Group group) => double.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"step (?<step>\d+)/.* validation loss (?<loss>[\d.]+)")]
    private static partial Regex Evaluation();
}
