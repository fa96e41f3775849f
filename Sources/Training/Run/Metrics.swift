import JSON

/// What one step of a training has measured.
package struct StepMetrics: Sendable, Equatable {
  /// From 1 on.
  package var step: Int
  /// The epochs behind this step, with the part of the present one.
  package var epoch: Double
  package var loss: Double
  /// The share of queries whose positive had the largest logit; nil for objectives without logits.
  package var accuracy: Double?
  /// nil for objectives without one.
  package var temperature: Double?
  /// The learning rate, before factors for layers.
  package var rate: Double
  /// The Euclidean norm of all gradients together, before clipping.
  package var gradientNorm: Double
  /// The examples of the batch, and the tokens of all their texts.
  package var pairs: Int
  package var tokens: Int

  package init(
    step: Int, epoch: Double, loss: Double, accuracy: Double?, temperature: Double?, rate: Double,
    gradientNorm: Double, pairs: Int, tokens: Int
  ) {
    self.step = step
    self.epoch = epoch
    self.loss = loss
    self.accuracy = accuracy
    self.temperature = temperature
    self.rate = rate
    self.gradientNorm = gradientNorm
    self.pairs = pairs
    self.tokens = tokens
  }
}

/// The course of a training, as `metrics.jsonl` has it: a line for each step, and one for each evaluation. No line depends on
/// the clock, so that a run that was interrupted ends with the same bytes as one that was not.
package struct MetricsHistory: Sendable, Equatable {
  package var steps: [StepMetrics] = []
  package var evaluations: [EvaluationMetrics] = []

  package init() {}
}

/// What an evaluation has measured.
package struct EvaluationMetrics: Sendable, Equatable {
  /// 0 before the first step.
  package var step: Int
  package var values: Evaluation

  package init(step: Int, values: Evaluation) {
    self.step = step
    self.values = values
  }
}

extension StepMetrics {
  /// One line of `metrics.jsonl`.
  var line: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.member("step", step)
    json.member("epoch", epoch)
    json.member("loss", loss)
    if let accuracy { json.member("accuracy", accuracy) }
    if let temperature { json.member("temperature", temperature) }
    json.member("learning_rate", rate)
    json.member("gradient_norm", gradientNorm)
    json.member("pairs", pairs)
    json.member("tokens", tokens)
    json.endObject()
    return json.bytes
  }

  init?(_ json: JSONValue) {
    guard let step = json["step"]?.integer, let epoch = json["epoch"]?.double, let loss = json["loss"]?.double,
      let rate = json["learning_rate"]?.double, let norm = json["gradient_norm"]?.double,
      let pairs = json["pairs"]?.integer, let tokens = json["tokens"]?.integer
    else { return nil }
    self.init(
      step: step, epoch: epoch, loss: loss, accuracy: json["accuracy"]?.double,
      temperature: json["temperature"]?.double, rate: rate, gradientNorm: norm, pairs: pairs, tokens: tokens)
  }
}

extension EvaluationMetrics {
  private static let names: [(String, WritableKeyPath<Evaluation, Double> & Sendable)] = [
    ("recall_at_1", \.recallAt1), ("recall_at_10", \.recallAt10), ("mean_reciprocal_rank", \.meanReciprocalRank),
    ("alignment", \.alignment), ("uniformity", \.uniformity),
  ]

  /// One line of `metrics.jsonl`.
  var line: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.member("step", step)
    json.key("evaluation")
    json.beginObject()
    for (name, value) in Self.names { json.member(name, values[keyPath: value]) }
    json.endObject()
    json.endObject()
    return json.bytes
  }

  init?(_ json: JSONValue) {
    guard let step = json["step"]?.integer, let found = json["evaluation"] else { return nil }
    var values = Evaluation(recallAt1: 0, recallAt10: 0, meanReciprocalRank: 0, alignment: 0, uniformity: 0)
    for (name, path) in Self.names {
      guard let value = found[name]?.double else { return nil }
      values[keyPath: path] = value
    }
    self.init(step: step, values: values)
  }
}

extension JSONWriter {
  mutating func member(_ name: String, _ value: Int) {
    key(name)
    integer(value)
  }

  mutating func member(_ name: String, _ value: Double) {
    key(name)
    // JSON has no word for what is not a number.
    if value.isFinite { number(value) } else { null() }
  }
}
