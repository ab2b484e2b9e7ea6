namespace Microsoft.ML.Leap;

public sealed partial class LeapLanguageModelTrainer
{
    public sealed partial class Options
    {
        /// <summary>A model to train further, on the texts given to the trainer.</summary>
        /// <value><see langword="null"/>, the default, trains a new model. The given one stays as it is, must not be disposed before the
        /// training has begun, and passes on its weights, tokenizer and <see cref="LeapLanguageModelTransformer.Config"/>: the options
        /// that describe these, from <see cref="Tokenizer"/> and <see cref="HiddenSize"/> to <see cref="Dropout"/>, are not looked at. All others
        /// are this run's own; AdamW starts anew.</value>
        public LeapLanguageModelTransformer? InitialModel;

        /// <summary>Optimizer steps of the run, in place of <see cref="Epochs"/>.</summary>
        /// <value>At least 1; <see langword="null"/>, the default, trains for <see cref="Epochs"/>.</value>
        public int? MaximumSteps;

        /// <summary>The time that training and evaluations may take; the run ends after the step that exceeds it.</summary>
        /// <value>Over zero; <see langword="null"/>, the default, for any time. The learning rate then follows the greater of the parts of the
        /// steps and of the time that are spent, so that its schedule ends with the run, which is therefore not repeatable to the bit.</value>
        public TimeSpan? TimeBudget;

        /// <summary>Batches that an optimizer step adds up: as one batch of so many times <see cref="BatchSize"/>, in the memory of
        /// one.</summary>
        /// <value>At least 1, the default. Each token of the step counts the same, however the batches are filled.</value>
        public int GradientAccumulation = 1;

        /// <summary>In which precision matrices are multiplied while training.</summary>
        /// <value><see cref="TrainingPrecision.Auto"/> by default: what is fastest on the device. Set another for numbers that do not depend on
        /// the kind of machine.</value>
        public TrainingPrecision Precision = TrainingPrecision.Auto;

        /// <summary>How gradients change the weights.</summary>
        /// <value><see cref="TrainingOptimizer.AdamW"/> by default. The learning rate and the weight decay mean the same with both.</value>
        public TrainingOptimizer Optimizer = TrainingOptimizer.AdamW;

        /// <summary>The shape of the learning rate after the warmup.</summary>
        /// <value>By default it falls in a straight line to zero.</value>
        public LearningRateSchedule Schedule = LearningRateSchedule.Linear();

        /// <summary>Steps in which the learning rate rises in a straight line to <see cref="LearningRate"/>.</summary>
        /// <value>At least 0, the default. Not together with <see cref="WarmupRatio"/>.</value>
        public int WarmupSteps;

        /// <summary>The warmup as a ratio of the planned steps.</summary>
        /// <value>From 0 to 1; <see langword="null"/>, the default, for 0.02. Not together with <see cref="WarmupSteps"/>.</value>
        public double? WarmupRatio;

        /// <summary>Whether weight decay applies to all weights: biases, norms and embeddings too.</summary>
        /// <value><see langword="false"/> by default; <see langword="true"/> is the plain form of AdamW.</value>
        public bool DecayAllWeights;

        /// <summary>How many steps in a row may be skipped, because their loss or gradient is not finite, before the run is given up.</summary>
        /// <value>At least 1; 10 by default. The last of so many throws.</value>
        public int MaximumSkippedSteps = 10;

        /// <summary>The part of the training texts that is set aside for validation when no validation data are given.</summary>
        /// <value>At least 0, for none, below 1. Whole texts are drawn by <see cref="Seed"/>, at least one and never all; the tokenizer does
        /// not learn from them. <see langword="null"/>, the default, holds out 3 %, from 10 to 500 rows, of at least 100, and
        /// none of fewer.</value>
        public double? ValidationFraction;

        /// <summary>How often the validation loss is measured, over all validation tokens; at the end it is measured in any case.</summary>
        /// <value>Epochs or steps; after each epoch by default.</value>
        public TrainingInterval EvaluationInterval = TrainingInterval.Epochs();

        /// <summary>Whether the model with the least validation loss is returned, and not the last.</summary>
        /// <value><see langword="true"/> by default; without validation data it is always the last. Keeps a second copy of the weights.</value>
        public bool KeepBestModel = true;

        /// <summary>Evaluations in a row without improvement after which the run ends.</summary>
        /// <value>At least 1, which needs validation data. <see langword="null"/>, the default, stands for an eighth
        /// of the epochs, at least 3, where <see cref="ValidationFraction"/> is <see langword="null"/> too and rows are held out, and never
        /// ends the run otherwise.</value>
        public int? EarlyStoppingPatience;

        /// <summary>The least fall of the validation loss, in nats, that counts as an improvement for
        /// <see cref="EarlyStoppingPatience"/>.</summary>
        /// <value>At least 0, the default.</value>
        public double EarlyStoppingImprovement;

        /// <summary>The folder that checkpoints are written to, each in a subfolder that is a model in the layout of Hugging Face too.</summary>
        /// <value><see langword="null"/>, the default, for none. Made when absent. One folder serves one run.</value>
        public string? CheckpointFolder;

        /// <summary>How often a checkpoint is written; one is in any case at each least validation loss so far, and at the end.</summary>
        /// <value>After each epoch by default.</value>
        public TrainingInterval CheckpointInterval = TrainingInterval.Epochs();

        /// <summary>How many checkpoints are kept: the latest so many, and the best.</summary>
        /// <value>At least 1; 3 by default.</value>
        public int KeptCheckpoints = 3;

        /// <summary>Whether the run goes on from the latest checkpoint in <see cref="CheckpointFolder"/>, or from the beginning when there is
        /// none.</summary>
        /// <value><see langword="false"/> by default: a folder that already holds checkpoints is then refused. A checkpoint of other data or
        /// settings is refused, and a run without a <see cref="Seed"/> has another seed each time. On a CPU, what a resumed run gives
        /// equals to the bit what it would have given without the interruption.</value>
        public bool Resume;

        /// <summary>What a cancelled run does.</summary>
        /// <value>Throws by default. Before the first step it always throws.</value>
        public CancellationBehavior OnCancel;

        internal TrainingSettings MakeTrainingSettings(TrainingRecipe recipe, int seed) => new()
        {
            Epochs = recipe.Epochs,
            MaximumSteps = MaximumSteps,
            TimeBudget = TimeBudget,
            BatchSize = recipe.BatchSize,
            GradientAccumulation = GradientAccumulation,
            LearningRate = recipe.LearningRate,
            Schedule = Schedule,
            WarmupSteps = WarmupSteps,
            WarmupRatio = recipe.WarmupRatio,
            Optimizer = Optimizer,
            Beta1 = Beta1,
            Beta2 = Beta2,
            WeightDecay = WeightDecay,
            DecayAllWeights = DecayAllWeights,
            MaximumGradientNorm = MaximumGradientNorm,
            MaximumSkippedSteps = MaximumSkippedSteps,
            EvaluationInterval = EvaluationInterval,
            KeepBestModel = KeepBestModel,
            EarlyStoppingPatience = recipe.EarlyStoppingPatience,
            EarlyStoppingImprovement = EarlyStoppingImprovement,
            Seed = seed,
            CancellationToken = CancellationToken,
            OnCancel = OnCancel,
        };

        private void ValidateTraining()
        {
            ArgumentNullException.ThrowIfNull(Schedule, nameof(Schedule));
            ArgumentNullException.ThrowIfNull(EvaluationInterval, nameof(EvaluationInterval));
            Require(MaximumSteps is null or >= 1, nameof(MaximumSteps), MaximumSteps ?? 0, "at least 1");
            Require(TimeBudget is null || TimeBudget > TimeSpan.Zero, nameof(TimeBudget), TimeBudget ?? default, "over zero");
            Require(Enum.IsDefined(Precision), nameof(Precision), Precision, "a value of TrainingPrecision");
            Require(Enum.IsDefined(Optimizer), nameof(Optimizer), Optimizer, "a value of TrainingOptimizer");
            Require(GradientAccumulation >= 1, nameof(GradientAccumulation), GradientAccumulation, "at least 1");
            Require(WarmupSteps >= 0, nameof(WarmupSteps), WarmupSteps, "at least 0");
            Require(WarmupRatio is null or (>= 0 and <= 1), nameof(WarmupRatio), WarmupRatio ?? 0, "from 0 to 1");
            Require(MaximumSkippedSteps >= 1, nameof(MaximumSkippedSteps), MaximumSkippedSteps, "at least 1");
            Require(ValidationFraction is null or (>= 0 and < 1), nameof(ValidationFraction), ValidationFraction ?? 0, "at least 0 and below 1");
            Require(EarlyStoppingPatience is null or >= 1, nameof(EarlyStoppingPatience), EarlyStoppingPatience ?? 0, "at least 1");
            Require(
                EarlyStoppingImprovement >= 0 && double.IsFinite(EarlyStoppingImprovement),
                nameof(EarlyStoppingImprovement), EarlyStoppingImprovement, "at least 0 and finite");
            Require(Enum.IsDefined(OnCancel), nameof(OnCancel), OnCancel, "a value of CancellationBehavior");
            ArgumentNullException.ThrowIfNull(CheckpointInterval, nameof(CheckpointInterval));
            Require(KeptCheckpoints >= 1, nameof(KeptCheckpoints), KeptCheckpoints, "at least 1");
            if (CheckpointFolder is not null && string.IsNullOrWhiteSpace(CheckpointFolder))
                throw new ArgumentException("CheckpointFolder must be null or the path of a folder, but it is empty.", nameof(CheckpointFolder));
            if (Resume && CheckpointFolder is null)
                throw new ArgumentException("Resume needs a CheckpointFolder to resume from.", nameof(Resume));
            if (WarmupSteps > 0 && WarmupRatio > 0)
                throw new ArgumentException("Set WarmupSteps or WarmupRatio, not both.", nameof(WarmupRatio));
            if (EvaluationInterval.IsOfTime)
                throw new ArgumentException($"EvaluationInterval must be of epochs or steps, but is {EvaluationInterval}.", nameof(EvaluationInterval));
        }
    }
}
