import JSON
import Platform

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
    do {
      // Room for the padding that the JSON parser wants, so that it need not copy.
      return try WholeFile.read("\(path)/\(name)", room: 64)
    } catch {
      if error.isMissing { return nil }
      throw TokenizerError(key: name, message: "cannot be read: \(error.message)")
    }
  }
}
