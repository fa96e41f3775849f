import JSON

/// Where a training run stands, as a checkpoint keeps it beside the arrays.
package struct RunState: Sendable, Equatable {
  /// A setting of the run that must be the same when it is continued.
  package struct Option: Sendable, Equatable {
    /// As the user gives it, such as `--lr`.
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
  }

  /// The steps that were taken.
  package var step: Int
  /// The epoch that the next step belongs to, counted from 0.
  package var epoch: Int
  /// The number of the next step's batch in its epoch, counted from 0.
  package var batch: Int
  /// The best value of the evaluation, and the step behind which it was measured.
  package var best: Double?
  package var bestStep: Int?
  /// Other numbers by name, such as the steps of the optimiser or the length of a file that the run appends to.
  package var numbers: [String: Int]
  package var options: [Option]

  package init(
    step: Int, epoch: Int, batch: Int, best: Double? = nil, bestStep: Int? = nil, numbers: [String: Int] = [:],
    options: [Option] = []
  ) {
    (self.step, self.epoch, self.batch) = (step, epoch, batch)
    (self.best, self.bestStep, self.numbers, self.options) = (best, bestStep, numbers, options)
  }

  /// Checks that a run with these options is the one that the checkpoint is of.
  ///
  /// - Throws: ``CheckpointError`` naming the first option that differs.
  package func check(_ given: [Option]) throws(CheckpointError) {
    for option in given {
      guard let saved = options.first(where: { $0.name == option.name }) else {
        throw CheckpointError(
          "", "\(option.name) is '\(option.value)', and the run that was interrupted did not have it")
      }
      guard saved.value == option.value else {
        throw CheckpointError(
          "", "\(option.name) is '\(option.value)', and in the run that was interrupted it was '\(saved.value)'")
      }
    }
    if let missing = options.first(where: { option in !given.contains { $0.name == option.name } }) {
      throw CheckpointError(
        "", "\(missing.name) is not given, and in the run that was interrupted it was '\(missing.value)'")
    }
  }

  private static let version = 1

  /// The state as a JSON text.
  ///
  /// - Throws: ``CheckpointError`` where the best value is not finite.
  func json() throws(CheckpointError) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    for (key, value) in [("format", Self.version), ("step", step), ("epoch", epoch), ("batch", batch)] {
      json.key(key)
      json.integer(value)
    }
    if let best {
      json.key("best")
      json.number(best)
    }
    if let bestStep {
      json.key("best_step")
      json.integer(bestStep)
    }
    json.key("numbers")
    json.beginObject()
    for (key, value) in numbers.sorted(by: { $0.key < $1.key }) {
      json.key(key)
      json.integer(value)
    }
    json.endObject()
    json.key("options")
    json.beginObject()
    for option in options {
      json.key(option.name)
      json.string(option.value)
    }
    json.endObject()
    json.endObject()
    if json.sawNonFinite { throw CheckpointError("", "the best value of the evaluation is not a finite number") }
    return json.bytes + [0x0A]
  }

  /// Reads what ``json()`` has written.
  ///
  /// - Throws: ``FieldError`` naming the key that is not as it should be.
  init(json text: [UInt8]) throws(FieldError) {
    let file = try JSONField(parsing: text, file: "state.json")
    let format = try file.required("format").integer(in: 1...Int.max)
    guard format == Self.version else { throw file.refused("format", "\(format) is of a later version of the program") }
    let naturals = 0...Int.max
    step = try file.required("step").integer(in: naturals)
    epoch = try file.required("epoch").integer(in: naturals)
    batch = try file.required("batch").integer(in: naturals)
    best = try file.optional("best")?.number()
    bestStep = try file.optional("best_step")?.integer(in: naturals)
    numbers = [:]
    for (name, field) in try file.required("numbers").members() {
      numbers[name] = try field.integer(in: Int.min...Int.max)
    }
    options = []
    for (name, field) in try file.required("options").members() { options.append(Option(name, try field.string())) }
  }
}
