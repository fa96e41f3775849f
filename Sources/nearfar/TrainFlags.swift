import Contrastive
import Platform
import Training

/// The flags of `nearfar train`, and the plan that they make.
enum TrainFlags {
  fileprivate static let model = Flag(
    "model", .text("DIR"), .optional(),
    "The folder of the encoder to train, in the layout of Hugging Face. With --static its tokenizer alone is used.")
  fileprivate static let table = Flag(
    "static", .standingAlone, .defaults(to: false, shown: "a transformer is trained"),
    "Train a table with a vector for each token. A text's vector is their mean, which is hundreds of times as fast as a transformer."
  )
  fileprivate static let teacher = Flag(
    "teacher", .text("DIR"), .optional(meaning: "the table begins with random values"),
    "With --static: the folder of an encoder from which the table is made, and whose vectors of the texts it learns.")
  fileprivate static let teacherWeight = Flag(
    "teacher-weight", Accepted<Double>.number(from: 0, most: 1), .defaults(to: 1, shown: "1"),
    "The weight of the loss against the teacher's vectors; that of the objective has the rest.")
  fileprivate static let dimensions = Flag(
    "dimensions", .integer(1...65_536), .optional(meaning: "256, or as many as the teacher has where they are fewer"),
    "With --static: the values of a vector.")
  fileprivate static let pairs = Flag("pairs", .text("FILE"), .optional(), "The file of pairs.")
  fileprivate static let texts = Flag(
    "texts", .text("FILE"), .optional(),
    "In place of pairs: a file of texts, one for each line, or JSON objects with a field 'text' in a file whose name ends in .jsonl. "
      + "Each text is its own positive, under another dropout mask (SimCSE).")
  fileprivate static let output = Flag(
    "output", .text("DIR"), .required, "The folder to write, which must be new or empty.")
  fileprivate static let objective = Flag(
    "objective", .choice(Objective.allCases.map(\.rawValue), "NAME"), .defaults(to: "infonce"),
    "The loss. supcon needs labels; simsiam and byol need no negatives.")
  fileprivate static let temperature = Flag(
    "temperature", Accepted<Temperature>.temperature,
    .defaults(to: Temperature(Temperature.usual), shown: "\(Temperature.usual)"),
    "By which similarities are divided. learned makes it a parameter, which begins with 0.05 or the number given.")
  fileprivate static let batch = Flag(
    "batch", .integer(2...1 << 20), .defaults(to: TrainerOptions().batch),
    "Examples of a step. All positives and negatives of the batch are candidates of each query, so that a larger one makes the task "
      + "harder; its memory does not grow much (see --chunk-tokens).")
  fileprivate static let epochs = Flag(
    "epochs", .integer(1...1 << 20), .optional(meaning: "1, or as many as --steps needs"),
    "How often every example is seen.")
  fileprivate static let steps = Flag(
    "steps", .integer(1...1 << 40), .optional(meaning: "all of the epochs"), "The most steps.")
  fileprivate static let rate = Flag(
    "lr", Accepted<Double>.number(above: 0, most: 10), .optional(meaning: "2e-5, and 0.01 for --static"),
    "The highest learning rate.")
  fileprivate static let schedule = Flag(
    "schedule", .choice(Schedule.Kind.allCases.map(\.rawValue)), .defaults(to: "linear"),
    "How the learning rate goes on behind the warm-up: linear and cosine fall to 0.")
  fileprivate static let warmup = Flag(
    "warmup", Accepted<TrainerOptions.Warmup>.warmup, .defaults(to: .share(0.1), shown: "0.1"),
    "The steps over which the learning rate rises from 0.")
  fileprivate static let weightDecay = Flag(
    "weight-decay", Accepted<Double>.number(from: 0, most: 1), .defaults(to: 0.01),
    "AdamW's decay, which norms and biases do not have.")
  fileprivate static let clip = Flag(
    "clip", Accepted<Double>.number(from: 0, most: 1e6), .defaults(to: 1, shown: "1"),
    "The largest norm of all gradients together; 0 does not clip.")
  fileprivate static let layerDecay = Flag(
    "layer-decay", Accepted<Double>.number(above: 0, most: 1), .defaults(to: 1, shown: "1"),
    "The factor between the learning rate of a layer and that of the next deeper one.")
  fileprivate static let freeze = Flag(
    "freeze", .integer(0...1024), .optional(meaning: "everything is trained"),
    "The embeddings and so many of the first layers stay as they are.")
  fileprivate static let lora = Flag(
    "lora", .integer(1...1024), .optional(meaning: "the model itself is trained"),
    "The rank of adapters (LoRA), which are trained in place of the model and merged into it at the end.")
  fileprivate static let loraAlpha = Flag(
    "lora-alpha", Accepted<Double>.number(above: 0, most: 1e6), .optional(meaning: "twice the rank"),
    "By which adapters are multiplied, divided by their rank.")
  fileprivate static let precision = Flag(
    "precision", .choice(["f32", "bf16"]), .defaults(to: "f32"),
    "The number format of the products of a transformer's layers. The parameters and the file that is written are f32.")
  fileprivate static let longest = Flag(
    "max-tokens", .integer(2...1 << 24), .optional(meaning: "as many as the model takes"),
    "The most tokens of a text; longer texts are cut.")
  fileprivate static let chunk = Flag(
    "chunk-tokens", .integer(1...1 << 40), .defaults(to: 16_384),
    "The most tokens whose activations are kept at the same time. Fewer need less memory and more time, and change no result."
  )
  fileprivate static let dropout = Flag(
    "dropout", Accepted<Double>.number(from: 0, most: 0.9), .optional(meaning: "as the model's config.json says"),
    "The probability of dropout, wherever the model has it.")
  fileprivate static let seed = Flag(
    "seed", .integer(0...Int.max), .defaults(to: 42),
    "Of everything that is random. The same seed gives the same bytes.")
  fileprivate static let shuffle = Flag(
    "shuffle", .trueOrFalse, .defaults(to: true),
    "Whether each epoch has an order of its own; otherwise that of the file.")
  fileprivate static let evaluation = Flag(
    "eval", .text("FILE"), .optional(),
    "Held-out pairs. Each query has to find its positive among the positives and negatives of the whole file; the model of the best mean "
      + "reciprocal rank is the one that is written.")
  fileprivate static let evaluationSteps = Flag(
    "eval-every", .integer(1...1 << 40), .optional(meaning: "behind each epoch"), "Steps between evaluations.")
  fileprivate static let patience = Flag(
    "patience", .integer(1...1 << 20), .optional(meaning: "all steps are made"),
    "Training stops behind so many evaluations without a better one.")
  fileprivate static let checkpointSteps = Flag(
    "checkpoint-every", .integer(1...1 << 40), .defaults(to: TrainerOptions().checkpointSteps),
    "Steps between checkpoints, each three times the size of the model.")
  fileprivate static let resume = Flag(
    "resume", .standingAlone, .defaults(to: false, shown: "a folder with an earlier run is not touched"),
    "Go on with the run in --output that was interrupted. Without a checkpoint it begins anew.")
  fileprivate static let momentum = Flag(
    "momentum", Accepted<Double>.number(from: 0, most: 1), .optional(meaning: "0.999 for moco, 0.996 for byol"),
    "How much of itself the slowly following copy of the model keeps at each step.")
  fileprivate static let queue = Flag(
    "queue", .integer(1...1 << 24), .defaults(to: 4096), "Keys of earlier batches that are negatives with moco.")
  fileprivate static let queryPrompt = Flag(
    "query-prompt", .text("TEXT"), .optional(meaning: "the model's prompt for queries"), "Stands before each query.")
  fileprivate static let documentPrompt = Flag(
    "document-prompt", .text("TEXT"), .optional(meaning: "the model's prompt for documents"),
    "Stands before each positive and negative.")
  fileprivate static let threads = Usable.threads(
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

  static func plan(_ arguments: Arguments) throws(UsageError) -> TrainingPlan {
    // Each value is checked by itself before those that have to fit each other.
    let (step, trainer) = (try Self.step(arguments), try Self.trainer(arguments))
    let (threads, resumes) = (try arguments.value(Self.threads), try arguments.value(resume))
    let (longest, dropout) = (try arguments.given(Self.longest), try arguments.given(Self.dropout))
    let precision = try arguments.value(Self.precision)
    let source = try Self.source(arguments)
    let data: TrainingPlan.Data
    switch (try arguments.given(pairs), try arguments.given(texts)) {
    case (let path?, nil): data = .pairs(path)
    case (nil, let path?): data = .texts(path)
    default: throw UsageError("one of --pairs and --texts is required")
    }
    var plan = TrainingPlan(source, data, output: try arguments.value(output), step)
    plan.trainer = trainer
    plan.heldOut = try arguments.given(evaluation)
    plan.longestText = longest
    plan.precision = precision == "bf16" ? .bf16 : .f32
    plan.dropout = dropout.map { Float($0) }
    plan.queryPrompt = try arguments.given(queryPrompt)
    plan.documentPrompt = try arguments.given(documentPrompt)
    plan.threads = threads
    plan.resumes = resumes
    guard plan.heldOut != nil || plan.trainer.evaluationSteps == nil && plan.trainer.patience == nil else {
      throw UsageError("--eval-every and --patience need --eval")
    }
    plan.settings = try settings(arguments, plan)
    return plan
  }

  private static func source(_ arguments: Arguments) throws(UsageError) -> TrainingPlan.Source {
    let (folder, taught) = (try arguments.given(model), try arguments.given(teacher))
    let dimensions = try arguments.given(dimensions)
    guard try arguments.value(table) else {
      guard taught == nil, dimensions == nil else { throw UsageError("--teacher and --dimensions need --static") }
      guard let folder else { throw UsageError("--model is required") }
      return .transformer(folder)
    }
    guard try arguments.given(lora) == nil, try arguments.given(freeze) == nil else {
      throw UsageError("--lora and --freeze are for layers, which --static has not")
    }
    switch (folder, taught) {
    case (nil, let taught?): return .taughtTable(teacher: taught, dimension: dimensions)
    case (let folder?, nil): return .table(tokenizer: folder, dimension: dimensions)
    default: throw UsageError("--static needs one of --teacher, and --model for its tokenizer")
    }
  }

  private static func step(_ arguments: Arguments) throws(UsageError) -> StepOptions {
    let name = try arguments.value(objective)
    guard let objective = Objective(rawValue: name) else { throw UsageError("--objective must not be '\(name)'") }
    let temperature = try arguments.value(temperature)
    let momentum = try arguments.given(momentum)
    guard momentum == nil || objective == .moco || objective == .byol else {
      throw UsageError("--momentum is for moco and byol")
    }
    // SigLIP's own first value is kept, since 0.05 was not made for a loss with a bias.
    let isGiven = try arguments.given(TrainFlags.temperature) != nil
    var step = StepOptions(
      objective, temperature: objective == .sigmoid && !isGiven ? nil : temperature.value,
      momentum: momentum.map { Float($0) })
    step.learnsTemperature = temperature.isLearned
    step.teacherWeight = Float(try arguments.value(teacherWeight))
    step.queue = try arguments.value(queue)
    step.adapterRank = try arguments.given(lora)
    step.adapterAlpha = try arguments.given(loraAlpha).map { Float($0) }
    guard step.adapterAlpha == nil || step.adapterRank != nil else { throw UsageError("--lora-alpha needs --lora") }
    step.firstDepth = try arguments.given(freeze).map { $0 + 1 } ?? 0
    step.chunkTokens = try arguments.value(chunk)
    step.seed = UInt64(try arguments.value(seed))
    return step
  }

  private static func trainer(_ arguments: Arguments) throws(UsageError) -> TrainerOptions {
    var options = TrainerOptions()
    options.batch = try arguments.value(batch)
    options.steps = try arguments.given(steps)
    options.epochs = try arguments.given(epochs) ?? (options.steps == nil ? 1 : nil)
    options.shuffles = try arguments.value(shuffle)
    options.seed = UInt64(try arguments.value(seed))
    options.schedule = Schedule.Kind(rawValue: try arguments.value(schedule)) ?? .linear
    let usual = try arguments.value(table) ? 1e-2 : 2e-5
    options.rate = try arguments.given(rate) ?? usual
    options.warmup = try arguments.value(warmup)
    options.optimizer.weightDecay = try arguments.value(weightDecay)
    let clip = try arguments.value(clip)
    options.optimizer.largestNorm = clip > 0 ? clip : nil
    options.optimizer.rates = LearningRates(
      layerDecay: try arguments.value(layerDecay), firstTrainedDepth: try arguments.given(freeze).map { $0 + 1 } ?? 0)
    options.evaluationSteps = try arguments.given(evaluationSteps)
    options.patience = try arguments.given(patience)
    options.checkpointSteps = try arguments.value(checkpointSteps)
    return options
  }
}

extension TrainFlags {
  /// The settings on which the result depends, with the values that hold, for a run that goes on and for the report. The content of
  /// files is compared, and not their names.
  private static func settings(_ arguments: Arguments, _ plan: TrainingPlan) throws(UsageError) -> [RunState.Option] {
    var found: [RunState.Option] = []
    func add(_ name: String, _ value: String?) {
      if let value { found.append(RunState.Option("--\(name)", value)) }
    }
    let (step, trainer) = (plan.step, plan.trainer)
    add(model.name, try arguments.given(model))
    add(table.name, try arguments.value(table) ? "true" : nil)
    add(teacher.name, try arguments.given(teacher))
    if try arguments.given(teacher) != nil { add(teacherWeight.name, "\(step.teacherWeight)") }
    add(dimensions.name, try arguments.given(dimensions).map { "\($0)" })
    add(objective.name, step.objective.rawValue)
    if step.objective.options.contains(.temperature) {
      add(temperature.name, (step.learnsTemperature ? "learned:" : "") + "\(step.temperature)")
    }
    add(batch.name, "\(trainer.batch)")
    add(epochs.name, trainer.epochs.map { "\($0)" })
    add(steps.name, trainer.steps.map { "\($0)" })
    add(rate.name, "\(trainer.rate)")
    add(schedule.name, trainer.schedule.rawValue)
    switch trainer.warmup {
    case .share(let share): add(warmup.name, "\(share)")
    case .steps(let count): add(warmup.name, "\(count)")
    }
    add(weightDecay.name, "\(trainer.optimizer.weightDecay)")
    add(clip.name, "\(trainer.optimizer.largestNorm ?? 0)")
    add(layerDecay.name, "\(trainer.optimizer.rates.layerDecay)")
    add(freeze.name, try arguments.given(freeze).map { "\($0)" })
    add(lora.name, step.adapterRank.map { "\($0)" })
    add(loraAlpha.name, step.adapterAlpha.map { "\($0)" })
    add(precision.name, plan.precision == .bf16 ? "bf16" : "f32")
    add(longest.name, plan.longestText.map { "\($0)" })
    add(dropout.name, plan.dropout.map { "\($0)" })
    add(seed.name, "\(step.seed)")
    add(shuffle.name, "\(trainer.shuffles)")
    add(evaluationSteps.name, trainer.evaluationSteps.map { "\($0)" })
    add(patience.name, trainer.patience.map { "\($0)" })
    if step.objective == .moco || step.objective == .byol { add(momentum.name, "\(step.momentum)") }
    if step.objective == .moco { add(queue.name, "\(step.queue)") }
    add(queryPrompt.name, plan.queryPrompt)
    add(documentPrompt.name, plan.documentPrompt)
    return found
  }
}
