import Service

/// Files of API keys, and lists of web origins. The input is one of either.
enum KeysTarget {
  static func run(_ input: [UInt8]) {
    do throws(KeyFileError) {
      let file = try KeyFile(input, path: "f")
      for warning in file.warnings { require(warning.count < 80, "a warning of \(warning.count) characters") }
    } catch {
      // The texts of errors have file, line and a fixed sentence, and nothing of the input.
      require(error.description.utf8.count < 120, "an error of \(error.description.utf8.count) bytes")
    }
    _ = WebOrigins(String(decoding: input.prefix(256), as: UTF8.self))
  }
}
