using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Leap;

/// <summary>The stack of decoder blocks, on word vectors to which the positions' vectors are added.</summary>
internal sealed class LeapDecoder : nn.Module<Tensor, Tensor?, Tensor>
{
    private readonly Embedding position_embeddings;
    private readonly ModuleList<LeapBlock> decoders;
    private readonly Dropout dropout;

    public LeapDecoder(LeapConfig config, WeightInitializer initializer, DropoutNoise noise)
        : base(nameof(LeapDecoder))
    {
        position_embeddings = new Embedding(config.ContextLength, config.HiddenSize, initializer);
        decoders = new ModuleList<LeapBlock>([.. config.WindowSizes.Select(w => new LeapBlock(config, w, initializer, noise))]);
        dropout = new Dropout(config.Dropout, noise);
        RegisterComponents();
    }

    public override Tensor forward(Tensor words, Tensor? padding) => Forward(words, padding, null);

    /// <summary>Runs the blocks; <paramref name="capture"/>, where given, takes what each focused on.</summary>
    public Tensor Forward(Tensor words, Tensor? padding, FocusCapture? capture)
    {
        Tensor x = dropout.call(words + position_embeddings.Weight.narrow(0, 0, words.shape[1]));
        foreach (LeapBlock decoder in decoders)
            x = decoder.Forward(x, padding, capture);
        return x;
    }
}
