import JSON

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The files of a model folder that describe its tokenizer.
struct TokenizerFolder {
  let path: String

  /// Reads what is there; `tokenizer.json` goes before `vocab.txt`.
  func model() throws(TokenizerError) -> TokenizerModel {
    let settings = try TokenizerSettings(json("tokenizer_config.json"))
    if let file = try json("tokenizer.json") { return try TokenizerFile(root: file).model(settings) }
    if let file = try bytes("vocab.txt") { return try VocabularyFile(file).model(settings) }
    throw TokenizerError(key: "tokenizer.json", message: "neither tokenizer.json nor vocab.txt is in \(path)")
  }

  private func json(_ name: String) throws(TokenizerError) -> Field? {
    guard let text = try bytes(name) else { return nil }
    do {
      return Field(try JSONDocument(text).root, name)
    } catch {
      let place = error.byteOffset.map { " at byte \($0)" } ?? ""
      throw TokenizerError(key: name, message: "not valid JSON: \(error.message)\(place)")
    }
  }

  /// The content of a file, nil when there is no such file.
  private func bytes(_ name: String) throws(TokenizerError) -> [UInt8]? {
    let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
    if descriptor < 0 && errno == ENOENT { return nil }
    guard descriptor >= 0 else { throw Self.failure(name) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, let size = Int(exactly: status.st_size) else { throw Self.failure(name) }
    var content: [UInt8] = []
    // Room for the padding that the JSON parser wants, so that it need not copy.
    content.reserveCapacity(size + 64)
    var failed = false
    withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { block in
      while true {
        let got = read(descriptor, block.baseAddress, block.count)
        if got < 0 && errno == EINTR { continue }
        failed = got < 0
        if got <= 0 { return }
        content.append(contentsOf: block[..<got])
      }
    }
    if failed { throw Self.failure(name) }
    return content
  }

  private static func failure(_ name: String) -> TokenizerError {
    TokenizerError(key: name, message: "cannot be read: \(String(cString: strerror(errno)))")
  }
}
