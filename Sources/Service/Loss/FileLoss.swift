import Contrastive
import JSON
import Safetensors
import SimilarityCore

/// Why a batch in files cannot be scored.
public struct FileLossError: Error, CustomStringConvertible {
  /// The tensor, row or option at fault: `temperature`, `queries[3]`. nil when it is none of them, such as a file.
  public let field: String?
  public let reason: String

  public var description: String { field.map { "\($0): \(reason)" } ?? reason }
}

/// What `/loss` does, for tensors in safetensors files and without a service.
public struct FileLoss: Sendable {
  /// Names of the tensors that can be given; `queue` holds further negatives, oldest first.
  public static let tensors = LossRequest.tensors + ["queue"]
  /// The values of the option `objective`, the default first.
  public static let objectives = Objective.allCases.map(\.rawValue)
  /// What the option `return` may list.
  public static let returnable = LossRequest.returnable

  /// The answer of `/loss` as JSON.
  public let json: [UInt8]
  /// The answer with gradients as safetensors; nil when it was not asked for.
  public let archive: [UInt8]?

  /// Scores the batch.
  ///
  /// - Parameters:
  ///   - files: for each tensor of ``tensors`` that is given the path of a safetensors file. It has a tensor of that
  ///     name, or a single one.
  ///   - options: `objective`, `temperature`, `normalize`, `in_batch_negatives`, `bias` and `return` of `/loss`, each
  ///     value as JSON text or a bare word.
  ///   - archives: also make ``archive``.
  /// - Throws: ``FileLossError`` naming the field, and the row where one is to blame.
  public init(files: [String: String], options: [String: String], threads: Int, archives: Bool) throws(FileLossError) {
    do {
      var limits = Limits()
      // The files are the caller's own.
      limits.maxInputs = .max
      limits.maxDimension = .max
      var found: [String: TensorView] = [:]
      for (name, path) in files { found[name] = try Self.tensor(name, path) }
      var options = options
      // Stands for the tensor: an objective that uses no queue refuses it, one that needs a queue has it.
      if found["queue"] != nil { options["queue"] = "\"tensor\"" }
      let queue = found.removeValue(forKey: "queue")
      let request = try LossRequest(try RequestBody(tensors: found, options: options, limits))
      var input = request.input(nil)
      input.queue = try queue.map { try limits.matrix($0, field: "queue") }
      let answer = try request.evaluate(input, threads: threads, withGradients: archives)
      json = try answer.json(withGradients: request.options.wantsGradients)
      archive = archives ? try answer.archive() : nil
    } catch let error as SafetensorsError {
      throw FileLossError(field: nil, reason: error.message)
    } catch {
      let problem = Problem(describing: error)
      throw FileLossError(field: problem.param, reason: problem.detail)
    }
  }

  private static func tensor(_ name: String, _ path: String) throws -> TensorView {
    let archive = try SafetensorsArchive(memoryMapping: path)
    let only = archive.names.count == 1 ? archive.names.first : nil
    if let tensor = archive.tensor(name) ?? only.flatMap(archive.tensor) { return tensor }
    throw SafetensorsError(
      message: "\(path) has no tensor '\(name)' and not a single one; it has: \(archive.names.joined(separator: ", "))")
  }
}
