import Contrastive
import JSON
import Safetensors

/// A `/loss` request, read and checked as far as that goes without embedding its texts.
struct LossRequest: Sendable {
  /// A queue to read and, where `update`, to append the batch's keys to.
  struct QueueUse: Sendable {
    let name: String
    let update: Bool
  }

  let inputs: LossInputs
  let options: LossOptions
  let queue: QueueUse?
  let returnsPerRow: Bool

  /// From a JSON body.
  init(_ root: JSONValue, _ limits: Limits) throws {
    var fields = try Fields(root)
    let inputs = try LossInputs(&fields, limits)
    try self.init(inputs, &fields)
  }

  /// From a safetensors body, whose options stand in its metadata.
  init(_ archive: SafetensorsArchive, _ limits: Limits) throws {
    try self.init(try LossInputs(archive, limits), options: archive.metadata, limits)
  }

  /// From rows and options, each by its name in the interface with JSON text or a bare word as its value.
  init(_ inputs: LossInputs, options: [String: String], _ limits: Limits) throws {
    var fields = try Fields(try MetadataOptions.object(options, limits))
    try self.init(inputs, &fields)
  }

  private init(_ inputs: LossInputs, _ fields: inout Fields) throws {
    let name = try fields.choice("objective", of: Objective.allCases.map(\.rawValue))
    guard let objective = Objective(rawValue: name) else { throw Problem.internalError }
    var options = LossOptions(objective)
    options.normalize = try fields.bool("normalize", default: true)
    try Self.read(&options, &fields)
    queue = try fields.take("queue").map { try Self.queue($0, objective) }
    let returned = try Self.returned(&fields)
    options.wantsGradients = returned.contains("gradients")
    options.wantsDiagnostics = returned.contains("diagnostics")
    returnsPerRow = returned.contains("per_row")
    try fields.finish()
    if objective.requiredOptions.contains(.queue), queue == nil {
      throw Problem.invalid("queue", "\(name) needs a queue")
    }
    self.options = options
    self.inputs = inputs
  }

  /// Reads the numbers. One that the objective does not use passes only with its documented default, which a client may
  /// send along.
  private static func read(_ options: inout LossOptions, _ fields: inout Fields) throws(Problem) {
    let used = options.objective.options
    func refuse(_ name: String) -> Problem { .invalid(name, "\(options.objective.rawValue) does not use it") }
    if let value = try fields.number("temperature") {
      let temperature = Float(value)
      guard temperature > 0, temperature.isFinite, (1 / temperature).isFinite else {
        throw .invalid("temperature", "must be a positive number, not \(value)")
      }
      guard used.contains(.temperature) || temperature == 0.07 else { throw refuse("temperature") }
      if used.contains(.temperature) { options.temperature = temperature }
    }
    if let value = try fields.number("bias") {
      guard used.contains(.bias) || value == -10 else { throw refuse("bias") }
      guard Float(value).isFinite else { throw .invalid("bias", "must be finite in f32") }
      options.bias = Float(value)
    }
    if let value = fields.take("in_batch_negatives") {
      guard let flag = value.bool else { throw .invalid("in_batch_negatives", "must be true or false") }
      // moco is infonce without them: saying so is no mistake.
      let standard = options.objective != .moco
      guard used.contains(.inBatchNegatives) || flag == standard else { throw refuse("in_batch_negatives") }
      options.inBatchNegatives = flag
    }
  }

  /// `"name"`, or `{"name": …, "update": false}`.
  private static func queue(_ value: JSONValue, _ objective: Objective) throws(Problem) -> QueueUse {
    guard objective.options.contains(.queue) else {
      throw .invalid("queue", "\(objective.rawValue) does not use it")
    }
    if let name = value.string { return QueueUse(name: name, update: true) }
    var fields = try Fields(value, at: "queue")
    guard let name = try fields.string("name") else { throw .invalid("queue.name", "is required") }
    let update = try fields.bool("update", default: true)
    try fields.finish()
    return QueueUse(name: name, update: update)
  }

  private static func returned(_ fields: inout Fields) throws(Problem) -> [String] {
    guard let value = fields.take("return") else { return ["loss"] }
    let names: [String]
    do {
      names = try value.strings()
    } catch {
      throw .invalid("return", "must be a list of strings")
    }
    for name in names where !["loss", "per_row", "gradients", "diagnostics"].contains(name) {
      throw .invalid("return", "'\(name)' is unknown; known: loss, per_row, gradients, diagnostics")
    }
    return names
  }
}
