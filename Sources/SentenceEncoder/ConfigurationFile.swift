import JSON
import Platform

/// One JSON object in a model folder, read by key; what is missing or of the wrong type is named.
struct ConfigurationFile {
  let name: String
  private let document: JSONDocument

  /// nil when the file does not exist.
  static func ifPresent(_ name: String, in folder: String) throws(EncoderError) -> ConfigurationFile? {
    exists(name, in: folder) ? try ConfigurationFile(name, in: folder) : nil
  }

  static func exists(_ name: String, in folder: String) -> Bool { access("\(folder)/\(name)", F_OK) == 0 }

  init(_ name: String, in folder: String) throws(EncoderError) {
    self.name = name
    do {
      document = try JSONDocument(try Self.bytes(of: name, in: folder))
    } catch let error as JSONParseError {
      throw EncoderError(key: name, message: error.message)
    } catch let error as EncoderError {
      throw error
    } catch {
      throw EncoderError(key: name, message: "cannot be read")
    }
  }

  var root: JSONValue { document.root }

  func integer(_ key: String, default fallback: Int? = nil) throws(EncoderError) -> Int {
    guard let value = root[key], !value.isNull else {
      if let fallback { return fallback }
      throw missing(key)
    }
    guard let number = value.integer else { throw wrong(key, "a whole number") }
    return number
  }

  func double(_ key: String, default fallback: Double) throws(EncoderError) -> Double {
    guard let value = root[key], !value.isNull else { return fallback }
    guard let number = value.double else { throw wrong(key, "a number") }
    return number
  }

  func string(_ key: String, default fallback: String? = nil) throws(EncoderError) -> String {
    guard let value = root[key], !value.isNull else {
      if let fallback { return fallback }
      throw missing(key)
    }
    guard let text = value.string else { throw wrong(key, "a string") }
    return text
  }

  func bool(_ key: String, default fallback: Bool) throws(EncoderError) -> Bool {
    guard let value = root[key], !value.isNull else { return fallback }
    guard let flag = value.bool else { throw wrong(key, "true or false") }
    return flag
  }

  func unsupported(_ key: String, _ found: String, supported: String) -> EncoderError {
    EncoderError(key: "\(name): \(key)", message: "'\(found)' is not supported; supported: \(supported)")
  }

  private func missing(_ key: String) -> EncoderError {
    EncoderError(key: "\(name): \(key)", message: "is missing")
  }

  private func wrong(_ key: String, _ expected: String) -> EncoderError {
    EncoderError(key: "\(name): \(key)", message: "must be \(expected)")
  }

  /// The whole file.
  static func bytes(of name: String, in folder: String) throws(EncoderError) -> [UInt8] {
    do {
      return try WholeFile.read("\(folder)/\(name)")
    } catch {
      throw EncoderError(key: name, message: "cannot be read: \(error.message)")
    }
  }
}
