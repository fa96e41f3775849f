import Platform

/// A file of API keys. Each line has `name:key` or a key alone, then maybe the key's rights; `#` begins a comment.
///
/// ```
/// # Both keys of the web shop are good while it changes from one to the other.
/// shop:9f8a…  read
/// shop:41c7…  read
/// loader:77d0…  read,write
/// c2a1…
/// ```
package struct KeyFile: Sendable {
  struct Key: Sendable {
    let name: String
    let rights: Rights
    let digest: KeyDigest
    /// Counted from 1.
    let line: Int
  }

  /// Keys of one file: each request is compared with all of them.
  private static let mostKeys = 1000
  /// What `Caller` calls requests without a key, or with another one.
  private static let reservedNames = ["none", "invalid"]

  /// What a line says.
  private struct Entry {
    let name: String
    let isNamed: Bool
    let key: ArraySlice<UInt8>
    let rights: Rights
    /// Counted from 1.
    let line: Int
  }

  let keys: [Key]
  /// What the operator should know, without keys.
  package private(set) var warnings: [String] = []

  /// - Throws: ``KeyFileError`` naming the line at fault. It never has a key.
  package init(_ content: [UInt8], path: String) throws(KeyFileError) {
    var keys: [Key] = []
    for entry in try Self.entries(content, path) {
      func fault(_ what: String) -> KeyFileError { KeyFileError("\(path):\(entry.line): \(what)") }
      guard let digest = KeyDigest(entry.key) else { throw fault("there is not enough memory") }
      if let other = keys.first(where: { $0.digest.matches(digest) }) {
        throw fault("line \(other.line) has the same key")
      }
      keys.append(Key(name: entry.name, rights: entry.rights, digest: digest, line: entry.line))
      if entry.key.count < 16 {
        warnings.append("\(path):\(entry.line): a key of fewer than 16 characters may be guessed")
      }
    }
    guard !keys.isEmpty else { throw KeyFileError("\(path) has no keys") }
    self.keys = keys
  }

  /// The first key of a file, for those who use a service.
  ///
  /// - Throws: ``KeyFileError`` naming the line at fault. It never has a key.
  static func firstKey(_ content: [UInt8], path: String) throws(KeyFileError) -> String {
    guard let entry = try entries(content, path).first else { throw KeyFileError("\(path) has no keys") }
    return String(decoding: entry.key, as: UTF8.self)
  }

  private static func entries(_ content: [UInt8], _ path: String) throws(KeyFileError) -> [Entry] {
    var entries: [Entry] = []
    for (index, line) in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let words = words(line)
      guard let first = words.first else { continue }
      let number = index + 1
      func fault(_ what: String) -> KeyFileError { KeyFileError("\(path):\(number): \(what)") }
      let (name, isNamed, key) = try parts(first, number, fault)
      let rights = try rights(words.dropFirst(), fault)
      guard entries.count < mostKeys else { throw fault("a file has at most \(mostKeys) keys") }
      entries.append(Entry(name: name, isNamed: isNamed, key: key, rights: rights, line: number))
    }
    // Keys of one name are one client. Nobody becomes another's by the line that it stands in.
    let unnamed = Set(entries.filter { !$0.isNamed }.map(\.name))
    if let taken = entries.first(where: { $0.isNamed && unnamed.contains($0.name) }) {
      throw KeyFileError("\(path):\(taken.line): the name \(taken.name) is that of a key without a name")
    }
    return entries
  }

  /// The words of a line up to its comment.
  private static func words(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
    return Array(words.prefix { $0.first != UInt8(ascii: "#") })
  }

  /// The name and the key of `name:key`, or of a key alone, whose name tells its line.
  private static func parts(
    _ word: ArraySlice<UInt8>, _ line: Int, _ fault: (String) -> KeyFileError
  ) throws(KeyFileError) -> (name: String, isNamed: Bool, key: ArraySlice<UInt8>) {
    var (name, key) = ("key\(line)", word)
    let colon = word.firstIndex(of: UInt8(ascii: ":"))
    if let colon {
      name = String(decoding: word[..<colon], as: UTF8.self)
      key = word[(colon + 1)...]
      guard RequestID.isValid(name) else {
        throw fault("the name before the colon has to have 1 to 128 of the characters A-Z a-z 0-9 . _ -")
      }
      guard !reservedNames.contains(name) else {
        throw fault("the names \(reservedNames.joined(separator: " and ")) are used for requests without a valid key")
      }
    }
    guard !key.isEmpty else { throw fault("there is no key behind the colon") }
    guard key.count <= 1024, key.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw fault("a key has to have at most 1024 characters, all of them visible ASCII")
    }
    return (name, colon != nil, key)
  }

  private static func rights(
    _ words: ArraySlice<ArraySlice<UInt8>>, _ fault: (String) -> KeyFileError
  ) throws(KeyFileError) -> Rights {
    guard !words.isEmpty else { return .all }
    var rights: [Right] = []
    for name in words.flatMap({ $0.split(separator: UInt8(ascii: ",")) }) {
      // The word is not repeated in the error, since it may be a key in the wrong place.
      guard let right = Right(rawValue: String(decoding: name, as: UTF8.self)) else {
        throw fault("only read, write and admin may follow a key, with commas between them")
      }
      rights.append(right)
    }
    guard !rights.isEmpty else { throw fault("only read, write and admin may follow a key, with commas between them") }
    return Rights(rights)
  }
}

/// Why a file of API keys cannot be used, naming file and line. It never has a key.
public struct KeyFileError: Error, Equatable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
