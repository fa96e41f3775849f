/// How token vectors become one sentence vector.
public enum Pooling: String, Sendable {
  case mean
  case cls
  case max
}

/// What follows the transformer: `modules.json` and `1_Pooling/config.json` of Sentence Transformers.
struct SentenceModules {
  var pooling = Pooling.mean
  /// The folder's own vectors are divided by their Euclidean norm.
  var normalizes = false

  private static let supported: [String: Pooling] = [
    "pooling_mode_mean_tokens": .mean, "pooling_mode_cls_token": .cls, "pooling_mode_max_tokens": .max,
  ]

  /// A folder without `modules.json` is a bare transformer: mean pooling, as Sentence Transformers does.
  ///
  /// - Throws: ``EncoderError`` for a module or a pooling mode that is not supported.
  init(folder: String) throws(EncoderError) {
    guard let file = try ConfigurationFile.ifPresent("modules.json", in: folder) else { return }
    guard let modules = file.root.elements else {
      throw EncoderError(key: file.name, message: "must be a list of modules")
    }
    for (position, module) in modules.enumerated() {
      let type = module["type"]?.string ?? ""
      switch (position, type.split(separator: ".").last) {
      case (0, "Transformer"):
        break
      case (1, "Pooling"):
        pooling = try Self.pooling(folder: folder, path: module["path"]?.string ?? "1_Pooling")
      case (2, "Normalize"):
        normalizes = true
      default:
        throw file.unsupported(
          "[\(position)].type", type, supported: "Transformer, Pooling and Normalize, in this order")
      }
    }
  }

  private static func pooling(folder: String, path: String) throws(EncoderError) -> Pooling {
    let file = try ConfigurationFile("\(path)/config.json", in: folder)
    var chosen: [Pooling] = []
    for (key, value) in file.root.members ?? [] where key.hasPrefix("pooling_mode") && value.bool == true {
      guard let pooling = supported[key] else {
        throw file.unsupported(key, "true", supported: supported.keys.sorted().joined(separator: ", "))
      }
      chosen.append(pooling)
    }
    guard let pooling = chosen.first, chosen.count == 1 else {
      throw EncoderError(
        key: "\(file.name): pooling_mode", message: "exactly one mode must be true, not \(chosen.count)")
    }
    return pooling
  }
}
