import Contrastive
import Training

/// The plan that the flags of `nearfar train` make.
extension TrainFlags {
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

  static func source(_ arguments: Arguments) throws(UsageError) -> TrainingPlan.Source {
    let (folder, taught) = (try arguments.given(model), try arguments.given(teacher))
    let dimensions = try arguments.given(dimensions)
    guard try arguments.value(table) else {
      guard taught == nil, dimensions == nil else { throw UsageError("--teacher and --dimensions need --static") }
      guard let folder else { throw UsageError("--model is required") }
      return .transformer(folder)
    }
    guard try arguments.given(lora) == nil, try arguments.given(freeze) == nil,
      try arguments.value(precision) != "bf16"
    else {
      throw UsageError("--lora, --freeze and --precision bf16 are for layers, which --static has not")
    }
    switch (folder, taught) {
    case (nil, let taught?): return .taughtTable(teacher: taught, dimension: dimensions)
    case (let folder?, nil): return .table(tokenizer: folder, dimension: dimensions)
    default: throw UsageError("--static needs one of --teacher, and --model for its tokenizer")
    }
  }

  static func step(_ arguments: Arguments) throws(UsageError) -> StepOptions {
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

  static func trainer(_ arguments: Arguments) throws(UsageError) -> TrainerOptions {
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
  static func settings(_ arguments: Arguments, _ plan: TrainingPlan) throws(UsageError) -> [RunState.Option] {
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
