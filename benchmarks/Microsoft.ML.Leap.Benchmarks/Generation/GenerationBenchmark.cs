using static TorchSharp.torch;

namespace Microsoft.ML.Leap.Benchmarks;

/// <summary>Makes tokens in all ways in turn, round by round: each is compared with the others under the same conditions.</summary>
internal sealed class GenerationBenchmark : IDisposable
{
    private const int ManyStreams = 16;

    private readonly GenerationSettings _settings;
    private readonly Random _random = new(1);
    private readonly LeapModel _model;
    private readonly RecurrentNetwork _network;
    private readonly List<TimedContestant> _all = [];
    private readonly List<MatrixRate> _rates = [];
    private readonly long _stateBytes;

    private readonly TimedContestant[] _positions;
    private readonly TimedContestant _one;
    private readonly TimedContestant _many;
    private readonly TimedContestant _recompute;
    private readonly TimedContestant _recomputeLast;
    private readonly TimedContestant _cache;
    private readonly TimedContestant _longCache;

    /// <param name="settings">The sizes. The texts up to their positions are read here.</param>
    public GenerationBenchmark(GenerationSettings settings)
    {
        _settings = settings;
        _model = new LeapModel(settings.Leap, CPU, seed: 1);
        _model.eval();
        _network = new RecurrentNetwork(_model);
        int[] prefix = Ids(settings.Context);
        _positions = [.. settings.Positions.Select(position => Add(new LeapStreams(_network, [After(position)])))];
        _one = Add(new LeapStreams(_network, [After(settings.Context)]));
        _many = Add(new LeapStreams(_network, [.. Enumerable.Range(0, ManyStreams).Select(_ => After(settings.Context))]));
        _recompute = Add(new LeapRecomputation(_model, prefix, allLogits: true));
        _recomputeLast = Add(new LeapRecomputation(_model, prefix, allLogits: false));
        _cache = Add(new Gpt2Stream(settings, prefix));
        _longCache = Add(new Gpt2Stream(settings, Ids(settings.LongContext)));
        using RecurrentState state = _network.CreateState();
        _stateBytes = state.SizeInBytes;
    }

    public GenerationReport Run()
    {
        using var products = new MatrixProductRates(_settings.Leap);
        _all.ForEach(contestant => contestant.WarmUp());
        for (int round = 0; round < _settings.Rounds; round++)
        {
            _rates.Add(products.Measure());

            // Another one begins each round, so that none always comes after the same.
            for (int i = 0; i < _all.Count; i++)
                _all[(round + i) % _all.Count].Measure();
        }

        return Report();
    }

    public void Dispose()
    {
        _all.ForEach(contestant => contestant.Dispose());
        _network.Dispose();
        _model.Dispose();
    }

    private TimedContestant Add(IGenerationContestant contestant)
    {
        _all.Add(new TimedContestant(contestant));
        return _all[^1];
    }

    private RecurrentState After(int position)
    {
        RecurrentState state = _network.CreateState();
        _network.Read(Ids(position), state, new float[_settings.HiddenSize]);
        return state;
    }

    private int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(_ => _random.Next(_settings.VocabularySize))];

    private GenerationReport Report()
    {
        MatrixRate rate = MatrixRate.Median(_rates);
        return new GenerationReport
        {
            Machine = MachineFacts.Collect(),
            MatmulGflopsFloat32 = rate.Float32,
            MatmulGflopsBFloat16 = rate.BFloat16,
            Network = _settings.Leap.ToString(),
            Rounds = _settings.Rounds,
            Context = _settings.Context,
            LongContext = _settings.LongContext,
            Positions = [.. _settings.Positions.Zip(_positions, (position, timed) => new GenerationPosition(position, timed.Milliseconds))],
            TokensPerSecond1 = 1000 / _one.Milliseconds,
            TokensPerSecond16 = ManyStreams * 1000 / _many.Milliseconds,
            StateBytes = _stateBytes,
            RecomputeMillisecondsPerToken2048 = _recompute.Milliseconds,
            RecomputeLastLogitsMillisecondsPerToken2048 = _recomputeLast.Milliseconds,
            Gpt2CacheMillisecondsPerToken2048 = _cache.Milliseconds,
            Gpt2CacheMillisecondsPerToken16384 = _longCache.Milliseconds,
            RecomputeToStep = Statistics.MedianRatio(_recompute.Rounds, _one.Rounds),
            RecomputeLastLogitsToStep = Statistics.MedianRatio(_recomputeLast.Rounds, _one.Rounds),
        };
    }
}
