using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The stack of decoder blocks, on word vectors to which the positions' vectors are added.</summary>
internal sealed class LeapDecoder : nn.Module<Tensor, Tensor?, Tensor>
{
    private readonly Embedding? position_embeddings;
    private readonly ModuleList<LeapBlock> decoders;
    private readonly Dropout dropout;

    public LeapDecoder(LeapConfig config, WeightInitializer initializer, DropoutNoise noise)
        : base(nameof(LeapDecoder))
    {
        position_embeddings = config.UsePositionEmbeddings ? new Embedding(config.ContextLength, config.HiddenSize, initializer) : null;
        decoders = new ModuleList<LeapBlock>([.. config.WindowSizes.Select(w => new LeapBlock(config, w, initializer, noise))]);
        dropout = new Dropout(config.Dropout, noise);
        RegisterComponents();
    }

    public override Tensor forward(Tensor words, Tensor? padding) => Forward(words, padding, null, null);

    /// <summary>Runs the blocks; <paramref name="capture"/>, where given, takes what each focused on.</summary>
    public Tensor Forward(Tensor words, Tensor? padding, FocusCapture? capture, PackedDocuments? documents)
    {
        Tensor x = position_embeddings is null ? words : TensorSum.Of(words, position_embeddings.Weight.narrow(0, 0, words.shape[1]));
        x = dropout.call(x);
        foreach (LeapBlock decoder in decoders)
            x = decoder.Forward(x, padding, capture, documents);
        return x;
    }

    /// <summary>Computes from where states stand, and takes them along.</summary>
    /// <param name="words">[B, N, d].</param>
    /// <param name="states">B states. Positions past the last learned one are read as that.</param>
    /// <returns>[B, N, d].</returns>
    public Tensor Continue(Tensor words, IReadOnlyList<RecurrentState> states)
    {
        Tensor x = position_embeddings is null
            ? words
            : TensorSum.Of(words, position_embeddings.call(Positions(states, words.shape[1], words.device)));
        for (int l = 0; l < decoders.Count; l++)
            x = decoders[l].Continue(x, l, states);
        foreach (RecurrentState state in states)
            state.Position += words.shape[1];
        return x;
    }

    private Tensor Positions(IReadOnlyList<RecurrentState> states, long length, Device device)
    {
        long last = position_embeddings!.Weight.shape[0] - 1;
        long[] positions = new long[states.Count * length];
        for (long i = 0; i < positions.Length; i++)
            positions[i] = Math.Min(last, states[(int)(i / length)].Position + i % length);
        return tensor(positions, [states.Count, length], device: device);
    }
}
