import Foundation
import JSON
import Testing
import Tokenization

/// The expected tokens of a text: their ids without special tokens, and the start and end of each in UTF-8 bytes.
struct Case: Sendable {
  var text: String
  var ids: [Int32]
  var spans: [Int]

  /// `[text, ids, spans]`, as scripts/tokenization/fixture.py writes it.
  init(_ value: JSONValue) throws {
    let parts = try #require(value.elements)
    try #require(parts.count == 3)
    text = try #require(parts[0].string)
    ids = try #require(parts[1].elements).map { Int32(try #require($0.integer)) }
    spans = try #require(parts[2].elements).map { try #require($0.integer) }
  }

  /// Describes how the tokens of `tokenizer` differ, or returns nil when they are as expected.
  func difference(from tokenizer: Tokenizer) -> String? {
    let tokens = tokenizer.tokens(text, addSpecialTokens: false)
    if tokens.map(\.id) != ids { return "\(text.debugDescription): ids \(tokens.map(\.id)), not \(ids)" }
    let found = tokens.flatMap { [$0.start ?? -1, $0.stop ?? -1] }
    if found != spans { return "\(text.debugDescription): places \(found), not \(spans)" }
    let (whole, truncated) = tokenizer.encode(text, maxLength: 100_000)
    if truncated || Array(whole.dropFirst().dropLast()) != ids { return "\(text.debugDescription): encode \(whole)" }
    return nil
  }
}

enum Files {
  private static let tests = URL(filePath: #filePath).deletingLastPathComponent()

  /// The expected tokens, which scripts/tokenization/fixture.py wrote.
  static func fixture() throws -> JSONValue {
    let file = tests.appending(path: "Fixtures/cases.json")
    return try JSONDocument([UInt8](try Data(contentsOf: file))).root
  }

  /// The path of the model folder: $NEARFAR_MODEL, or else models/all-MiniLM-L6-v2 in the package.
  static func model() throws -> String {
    let package = tests.deletingLastPathComponent().deletingLastPathComponent()
    let folder =
      ProcessInfo.processInfo.environment["NEARFAR_MODEL"]
      ?? package.appending(path: "models/all-MiniLM-L6-v2").path(percentEncoded: false)
    try #require(
      FileManager.default.fileExists(atPath: folder + "/tokenizer.json"),
      "no model in \(folder): run `make model`, or set NEARFAR_MODEL to the folder")
    return folder
  }

  /// Calls `body` with the path of a folder that contains these files, and removes it afterwards.
  static func folder<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    return try body(folder.path(percentEncoded: false))
  }

  static func text(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
  }
}
