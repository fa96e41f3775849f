import Contrastive
import JSON
import Safetensors
import SentenceEncoder
import SimilarityCore
import VectorStore

extension Problem {
  /// What an error of a lower layer means to a client.
  init(describing error: any Error) {
    switch error {
    case let problem as Problem: self = problem
    case let error as JSONParseError: self.init(error)
    case let error as SafetensorsError: self.init(400, "the body is not valid safetensors: \(error.message)")
    case let error as ContrastiveError: self = .invalid(error.parameter, error.reason)
    case let error as StoreError: self.init(error, points: "vectors")
    case let error as EncodingFailure: self.init(error)
    default: self = .internalError
    }
  }

  init(_ error: JSONParseError) {
    let place = error.byteOffset.map { " at byte \($0)" } ?? ""
    self.init(400, "the body is not valid JSON: \(error.message)\(place)")
  }

  /// - Parameter field: the field that holds the rows.
  init(_ error: JSONTensorError, field: String) {
    let row = error.path.first.map { "\(field)[\($0)]" } ?? field
    let place = field + error.path.map { "[\($0)]" }.joined()
    let what =
      switch error.reason {
      case .notANumber: "\(place) is not a number"
      case .notAString: "\(place) is not a string"
      case .ragged(let expected, let found): "\(place) has \(found) values where the others have \(expected)"
      case .mixedDepth: "\(place) mixes numbers and lists"
      case .tooDeep: "\(place) is nested too deep"
      case .notFinite: "\(place) is not finite in f32"
      }
    self = .invalid(row, what)
  }

  /// - Parameter points: the field that holds the rows which the error counts.
  init(_ error: StoreError, points: String) {
    switch error {
    case .unknownCollection(let name):
      self.init(404, "there is no collection '\(name)'", param: "collection")
    case .conflict(let reason):
      self.init(409, reason)
    case .dimension(let row, let expected, let found):
      self = .invalid("\(points)[\(row)]", "has \(found) values where the collection has \(expected)")
    case .zeroVector(let row):
      self = .invalid("\(points)[\(row)]", "a vector of zeros has no direction")
    case .duplicateID(let row):
      self = .invalid("\(points)[\(row)].id", "the id stands twice in the batch")
    case .notFinite(let row):
      self = .invalid("\(points)[\(row)]", "holds a value that is not finite in f32")
    case .tooOld(let oldest):
      self.init(409, "changes can be told from version \(oldest) on alone")
    case .full:
      self.init(507, "there is no room to store it; nothing has changed")
    case .readOnly:
      self.init(503, "the data folder cannot be written: collections are served read-only")
    case .unavailable(let reason):
      self.init(503, reason)
    case .unknownPoint(let row, let id):
      self.init(404, "there is no point '\(id)'", param: "\(points)[\(row)]")
    }
  }

  private init(_ error: EncodingFailure) {
    switch error {
    case .invalidSequence(let index), .notFinite(let index):
      self.init(500, "the encoder could not compute a vector", param: "inputs[\(index)]")
    case .productFailed:
      self = .internalError
    }
  }
}
