import JSON
import Safetensors

/// Why a model could not be loaded.
public enum EncoderError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A file of the model folder, or a key in it, is missing, malformed or not supported.
  case folder(key: String, message: String)
  /// The cryptographic library failed; the folder is not at fault.
  case cryptographicLibrary
  /// There is not enough memory; the folder is not at fault.
  case outOfMemory

  public var description: String {
    switch self {
    case .folder(let key, let message): "\(key): \(message)"
    case .cryptographicLibrary: "the cryptographic library (libcrypto) failed to compute SHA-256"
    case .outOfMemory: "there is not enough memory to load the model"
    }
  }
}

extension EncoderError {
  init(_ error: FieldError) { self = .folder(key: error.key, message: error.message) }

  /// The error of a folder within the model's.
  func within(_ path: String) -> EncoderError {
    guard case .folder(let key, let message) = self, !path.isEmpty else { return self }
    return .folder(key: "\(path)/\(key)", message: message)
  }

  /// An error in `model.safetensors`, or in the tensor `name` in it.
  init(_ error: SafetensorsError, tensor name: String? = nil) {
    if error.isOutOfMemory {
      self = .outOfMemory
    } else {
      self = .folder(key: name.map { "model.safetensors: \($0)" } ?? "model.safetensors", message: error.message)
    }
  }
}
