import Contrastive
import Training

/// The flags of `nearfar train`.
enum TrainFlags {
  static let model = Flag(
    "model", .text("DIR"), .optional(),
    "The folder of the encoder to train, in the layout of Hugging Face. With --static its tokenizer alone is used.")
  static let table = Flag(
    "static", .standingAlone, .defaults(to: false, shown: "a transformer is trained"),
    "Train a table with a vector for each token. A text's vector is their mean, which is hundreds of times as fast as a transformer."
  )
  static let teacher = Flag(
    "teacher", .text("DIR"), .optional(meaning: "the table begins with random values"),
    "With --static: the folder of an encoder from which the table is made, and whose vectors of the texts it learns.")
  static let teacherWeight = Flag(
    "teacher-weight", Accepted<Double>.number(from: 0, most: 1), .defaults(to: 1, shown: "1"),
    "The weight of the loss against the teacher's vectors; that of the objective has the rest.")
  static let dimensions = Flag(
    "dimensions", .integer(1...65_536), .optional(meaning: "256, or as many as the teacher has where they are fewer"),
    "With --static: the values of a vector.")
  static let pairs = Flag("pairs", .text("FILE"), .optional(), "The file of pairs.")
  static let texts = Flag(
    "texts", .text("FILE"), .optional(),
    "In place of pairs: a file of texts, one for each line, or JSON objects with a field 'text' in a file whose name ends in .jsonl. "
      + "Each text is its own positive, under another dropout mask (SimCSE).")
  static let output = Flag(
    "output", .text("DIR"), .required, "The folder to write, which must be new or empty.")
  static let objective = Flag(
    "objective", .choice(Objective.allCases.map(\.rawValue), "NAME"), .defaults(to: "infonce"),
    "The loss. supcon needs labels; simsiam and byol need no negatives.")
  static let temperature = Flag(
    "temperature", Accepted<Temperature>.temperature,
    .defaults(to: Temperature(Temperature.usual), shown: "\(Temperature.usual)"),
    "By which similarities are divided. learned makes it a parameter, which begins with 0.05 or the number given.")
  static let batch = Flag(
    "batch", .integer(2...1 << 20), .defaults(to: TrainerOptions().batch),
    "Examples of a step. All positives and negatives of the batch are candidates of each query, so that a larger one makes the task "
      + "harder; its memory does not grow much (see --chunk-tokens).")
  static let epochs = Flag(
    "epochs", .integer(1...1 << 20), .optional(meaning: "1, or as many as --steps needs"),
    "How often every example is seen.")
  static let steps = Flag(
    "steps", .integer(1...1 << 40), .optional(meaning: "all of the epochs"), "The most steps.")
  static let rate = Flag(
    "lr", Accepted<Double>.number(above: 0, most: 10), .optional(meaning: "2e-5, and 0.01 for --static"),
    "The highest learning rate.")
  static let schedule = Flag(
    "schedule", .choice(Schedule.Kind.allCases.map(\.rawValue)), .defaults(to: "linear"),
    "How the learning rate goes on behind the warm-up: linear and cosine fall to 0.")
  static let warmup = Flag(
    "warmup", Accepted<TrainerOptions.Warmup>.warmup, .defaults(to: .share(0.1), shown: "0.1"),
    "The steps over which the learning rate rises from 0.")
  static let weightDecay = Flag(
    "weight-decay", Accepted<Double>.number(from: 0, most: 1), .defaults(to: 0.01),
    "AdamW's decay, which norms and biases do not have.")
  static let clip = Flag(
    "clip", Accepted<Double>.number(from: 0, most: 1e6), .defaults(to: 1, shown: "1"),
    "The largest norm of all gradients together; 0 does not clip.")
  static let layerDecay = Flag(
    "layer-decay", Accepted<Double>.number(above: 0, most: 1), .defaults(to: 1, shown: "1"),
    "The factor between the learning rate of a layer and that of the next deeper one.")
  static let freeze = Flag(
    "freeze", .integer(0...1024), .optional(meaning: "everything is trained"),
    "The embeddings and so many of the first layers stay as they are.")
  static let lora = Flag(
    "lora", .integer(1...1024), .optional(meaning: "the model itself is trained"),
    "The rank of adapters (LoRA), which are trained in place of the model and merged into it at the end.")
  static let loraAlpha = Flag(
    "lora-alpha", Accepted<Double>.number(above: 0, most: 1e6), .optional(meaning: "twice the rank"),
    "By which adapters are multiplied, divided by their rank.")
  static let precision = Flag(
    "precision", .choice(["f32", "bf16"]), .defaults(to: "f32"),
    "The number format of the products of a transformer's layers. The parameters and the file that is written are f32.")
  static let longest = Flag(
    "max-tokens", .integer(2...1 << 24), .optional(meaning: "as many as the model takes"),
    "The most tokens of a text; longer texts are cut.")
  static let chunk = Flag(
    "chunk-tokens", .integer(1...1 << 40), .defaults(to: 8_192),
    "The most tokens whose activations are kept at the same time. Fewer need less memory and more time, and change no result."
  )
  static let dropout = Flag(
    "dropout", Accepted<Double>.number(from: 0, most: 0.9), .optional(meaning: "as the model's config.json says"),
    "The probability of dropout, wherever the model has it.")
  static let seed = Flag(
    "seed", .integer(0...Int.max), .defaults(to: 42),
    "Of everything that is random. The same seed gives the same bytes.")
  static let shuffle = Flag(
    "shuffle", .trueOrFalse, .defaults(to: true),
    "Whether each epoch has an order of its own; otherwise that of the file.")
  static let evaluation = Flag(
    "eval", .text("FILE"), .optional(),
    "Held-out pairs. Each query has to find its positive among the positives and negatives of the whole file; the model of the best mean "
      + "reciprocal rank is the one that is written.")
  static let evaluationSteps = Flag(
    "eval-every", .integer(1...1 << 40), .optional(meaning: "behind each epoch"), "Steps between evaluations.")
  static let patience = Flag(
    "patience", .integer(1...1 << 20), .optional(meaning: "all steps are made"),
    "Training stops behind so many evaluations without a better one.")
  static let checkpointSteps = Flag(
    "checkpoint-every", .integer(1...1 << 40), .defaults(to: TrainerOptions().checkpointSteps),
    "Steps between checkpoints, each three times the size of the model.")
  static let resume = Flag(
    "resume", .standingAlone, .defaults(to: false, shown: "a folder with an earlier run is not touched"),
    "Go on with the run in --output that was interrupted. Without a checkpoint it begins anew.")
  static let momentum = Flag(
    "momentum", Accepted<Double>.number(from: 0, most: 1), .optional(meaning: "0.999 for moco, 0.996 for byol"),
    "How much of itself the slowly following copy of the model keeps at each step.")
  static let queue = Flag(
    "queue", .integer(1...1 << 24), .defaults(to: 4096), "Keys of earlier batches that are negatives with moco.")
  static let queryPrompt = Flag(
    "query-prompt", .text("TEXT"), .optional(meaning: "the model's prompt for queries"), "Stands before each query.")
  static let documentPrompt = Flag(
    "document-prompt", .text("TEXT"), .optional(meaning: "the model's prompt for documents"),
    "Stands before each positive and negative.")
  static let threads = Usable.threads(
    isVariable: false, "Threads that share the work. Their number changes no result.")

  static let all: [any CommandFlag] = [
    model, table, teacher, teacherWeight, dimensions, pairs, texts, output, objective, temperature, batch, epochs,
    steps, rate, schedule, warmup, weightDecay,
    clip,
    layerDecay, freeze, lora, loraAlpha, precision, longest, chunk, dropout, seed, shuffle, evaluation, evaluationSteps,
    patience,
    checkpointSteps, resume, momentum, queue, queryPrompt, documentPrompt, threads,
  ]

  /// The flag of an option of the step.
  static func flag(ofOption name: String) -> String {
    switch name {
    case "learnsTemperature": "--temperature"
    case "adapterRank": "--lora"
    case "adapterAlpha": "--lora-alpha"
    case "firstDepth": "--freeze"
    case "dimension": "--dimensions"
    default: "--\(name)"
    }
  }
}
