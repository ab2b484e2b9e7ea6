using System.Text;

namespace Microsoft.ML.Leap.Fuzz;

/// <summary>The inputs that fuzzing starts from: <c>seeds/TARGET</c>, all of them accepted; and <c>findings/TARGET</c>, which were faults once.</summary>
internal static class Seeds
{
    /// <summary>Reads a target's files of a folder; none where there is no such folder.</summary>
    public static IReadOnlyList<(string Name, byte[] Content)> Read(string folder, FuzzTarget target)
    {
        string path = Path.Combine(folder, target.Name);
        return Directory.Exists(path)
            ? [.. Directory.GetFiles(path).Order(StringComparer.Ordinal).Select(file => (Path.GetFileName(file), File.ReadAllBytes(file)))]
            : [];
    }

    /// <summary>Writes all seeds anew, for when a format has changed.</summary>
    public static void Write(string folder)
    {
        foreach ((string target, string name, byte[] content) in Create())
        {
            Directory.CreateDirectory(Path.Combine(folder, target));
            File.WriteAllBytes(Path.Combine(folder, target, name), content);
        }
    }

    private static IEnumerable<(string Target, string Name, byte[] Content)> Create()
    {
        IReadOnlyDictionary<string, byte[]> files = TrainingTargets.Files;
        yield return ("config", "config.json", files[ModelFileNames.Config]);
        yield return ("config", "foreign.json", Encoding.UTF8.GetBytes(
            """{"vocab_size":257,"hidden_size":8,"n_positions":16,"n_layer":2,"n_head":2,"use_local_att":false,"window_sizes":null,"use_position_embeddings":false,"convolution_size":2,"x":[1e9,"\u00e9"]}"""));
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            var target = new MemoryTarget();
            SeedModel.CreateParts(SeedModel.Config).Write(target, format);
            yield return ("weights", $"{format}.safetensors", target.Files[ModelFileNames.Weights]);
        }

        yield return ("memory", "memory.safetensors", files[ModelFileNames.Memory]);
        yield return ("counts", "bigrams.bin", files[BigramCounts.FileName]);
        using (var folder = new ScratchFolder())
        {
            using LeapLanguageModel model = SeedModel.Load();
            model.Save(folder.Path, WeightFormat.BFloat16);
            yield return ("manifest", "leap.manifest", File.ReadAllBytes(Path.Combine(folder.Path, ModelFileNames.Manifest)));
            yield return ("folder", "saved", Bundle.Write(ReadFolder(folder.Path)));
        }

        yield return ("folder", "byte-pair", Bundle.Write(WithTokenizer(TokenizerSeeds.BytePair())));
        yield return ("zip", "model.zip", TrainingTargets.WriteZip());
        yield return ("state", "empty", ModelTargets.WriteState("", PositionPolicy.Throw, usePositions: false));
        yield return ("state", "read", ModelTargets.WriteState(SeedModel.Text, PositionPolicy.Restart, usePositions: false));
        yield return ("state", "positions", ModelTargets.WriteState("the", PositionPolicy.Throw, usePositions: true));
        yield return ("state", "clamped", ModelTargets.WriteState(SeedModel.Text, PositionPolicy.Clamp, usePositions: true));
        foreach (string kind in (string[])[TokenizerSettings.Bytes, TokenizerSettings.ByteLevelBpe, TokenizerSettings.SentencePiece, TokenizerSettings.Tiktoken])
            yield return ("tokenizer-settings", kind + ".json", TokenizerSeeds.Settings(kind));
        yield return ("byte-pair", "learned", Bundle.Write(TokenizerSeeds.BytePair()));
        yield return ("tiktoken", "few.tiktoken", TokenizerSeeds.Ranks());
        yield return ("sentencepiece", "unigram.model", TokenizerSeeds.SentencePiece(isBytePair: false, []));
        yield return ("sentencepiece", "unigram-rules.model", TokenizerSeeds.SentencePiece(isBytePair: false, TokenizerSeeds.Charsmap()));
        yield return ("sentencepiece", "byte-pair.model", TokenizerSeeds.SentencePiece(isBytePair: true, []));
        yield return ("sentencepiece", "bytes.model", TokenizerSeeds.SentencePiece(isBytePair: true, [], useBytes: true));
        yield return ("settings", "leap.json", files[ModelFileNames.Settings]);
        yield return ("recipe", "recipe.json", files[ModelFileNames.Recipe]);
        yield return ("history", "history.csv", files[HistoryCsv.FileName]);
        yield return ("entries", "settings-of-all", Bundle.Write(files.Where(file => file.Key.EndsWith(".json", StringComparison.Ordinal))));
        yield return ("entries", "short-context", Bundle.Write(
            [new(ModelFileNames.Config, WriteConfig(2)), new(HistoryCsv.FileName, files[HistoryCsv.FileName])]));
        yield return ("checkpoint", "step-1", Bundle.Write(TrainingTargets.WriteCheckpoint().Where(file => file.Key != ModelFileNames.Manifest)));
        yield return ("web", "score", Encoding.UTF8.GetBytes("/score application/json\n{\"texts\":[\"The cat.\",\"na\u00efve \\ud83d\\ude00\"]}"));
        yield return ("web", "completions", Encoding.UTF8.GetBytes(
            "/v1/completions application/json\n{\"prompt\":\"The cat\",\"max_tokens\":3,\"n\":2,\"temperature\":0.5,\"top_k\":4,\"top_p\":0.9,\"stop\":[\".\"],\"seed\":1,\"logprobs\":2,\"echo\":true,\"logit_bias\":{\"4\":-100}}"));
        yield return ("web", "stream", Encoding.UTF8.GetBytes(
            "/v1/completions application/json; charset=utf-8\n{\"prompt\":[[1,2]],\"max_tokens\":2,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"));
        yield return ("web", "embeddings", Encoding.UTF8.GetBytes(
            "/v1/embeddings application/json\n{\"input\":[\"The cat.\"],\"encoding_format\":\"base64\"}"));
        yield return ("web", "explain", Encoding.UTF8.GetBytes(
            "/explain application/json\n{\"text\":\"cat\"}"));
    }

    private static byte[] WriteConfig(int contextLength)
    {
        using var stream = new MemoryStream();
        ConfigJson.Write(stream, new LeapConfig(257, 8, contextLength, 2, 2, useLocalAttention: false, usePositionEmbeddings: false, convolutionSize: 2));
        return stream.ToArray();
    }

    private static Dictionary<string, byte[]> ReadFolder(string folder) =>
        Directory.GetFiles(folder).Order(StringComparer.Ordinal).ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);

    private static Dictionary<string, byte[]> WithTokenizer(Dictionary<string, byte[]> tokenizer)
    {
        var config = new LeapConfig(264, hiddenSize: 4, contextLength: 8, layerCount: 1, headCount: 1, usePositionEmbeddings: true);
        var target = new MemoryTarget();
        (SeedModel.CreateParts(config) with { Memory = null }).Write(target, WeightFormat.Int8);
        return target.Files.Where(file => file.Key != TokenizerSettings.FileName).Concat(tokenizer).ToDictionary();
    }
}
