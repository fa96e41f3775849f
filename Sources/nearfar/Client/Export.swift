import HTTPClient
import JSON
import Safetensors

/// `nearfar export`: a collection of a running service as a safetensors file, or as several where one cannot hold it.
struct ExportCommand: Command {
  static let name = "export"
  static let summary = "write a collection of a running service to safetensors files"
  static let details = """
    Writes one version of a collection, its vectors with ids, metadata and texts, as one safetensors file. A collection \
    that one file cannot hold is written as FILE-00001-of-00003 and so on. Files that were there before are replaced \
    only when the export is complete.
    """
  static let flags: [any CommandFlag] = [collection, output, after, limit, shardPoints] + RemoteService.flags

  private static let collection = Flag("collection", .text("NAME"), .required, "The collection to export.")
  private static let output = Flag(
    "output", .text("FILE"), .required, "The file to write; - writes a single file to standard output.")
  private static let after = Flag(
    "after", Accepted(placeholder: "ID", rule: nil) { $0 }, .optional(),
    "Only points whose ids come after this one, in the order of the ids' bytes.")
  private static let limit = Flag(
    "limit", .integer(1...Int.max), .optional(meaning: "all"), "The most points to export.")
  private static let shardPoints = Flag(
    "shard-points", .integer(1...Int.max), .optional(meaning: "as many as fit"),
    "The most points per file.")

  private let service: RemoteService
  private let path: String
  private let output: String
  private let query: [String]
  private let shardPoints: Int

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let command = try ExportCommand(arguments)
    return CommandError.status { () throws(CommandError) in try command.run() }
  }

  private init(_ arguments: Arguments) throws(UsageError) {
    let name = try arguments.value(Self.collection)
    output = try arguments.value(Self.output)
    var query: [String] = []
    if let after = try arguments.given(Self.after) { query.append("after=\(after.pathSegment)") }
    if let limit = try arguments.given(Self.limit) { query.append("limit=\(limit)") }
    self.query = query
    let shardPoints = try arguments.given(Self.shardPoints)
    guard output != "-" || shardPoints == nil else {
      throw UsageError("--shard-points makes several files, which --output - cannot hold")
    }
    self.shardPoints = shardPoints ?? .max
    service = try RemoteService(arguments)
    path = RemoteCollection(service: service, name: name).path + "/export"
  }

  private func run() throws(CommandError) {
    guard output != "-" else {
      _ = try fetch(target(query), to: .standardOutput, canRestart: false)
      return
    }
    var parts: [SystemFile] = []
    defer { for part in parts { SystemFile.remove(part.path) } }
    var points = 0
    var version: Int?
    var next: String? = target(query + ["part=\(shardPoints)"])
    while let target = next {
      let part = try SystemFile.writing(parts.isEmpty ? "\(output).part" : "\(output).part-\(parts.count + 1)")
      parts.append(part)
      next = try fetch(target, to: part, canRestart: true).map { path + $0 }
      let found = try Self.content(of: part.path)
      guard found.version == version ?? found.version else {
        throw CommandError("the collection changed while it was exported; start the export again")
      }
      version = found.version
      points += found.rows
    }
    let names = ShardNames(output)
    let paths = parts.count == 1 ? [output] : (1...parts.count).map { names.path($0, of: parts.count) }
    for (part, path) in zip(parts, paths) { try part.publish(as: path) }
    // A single file of an earlier export would be mistaken for this one.
    if paths.count > 1 { SystemFile.remove(output) }
    let files = paths.count == 1 ? output : "\(paths[0]) … \(paths[paths.count - 1])"
    Log().plain("exported \(counted(points, "point")) to \(files)")
  }

  private func target(_ query: [String]) -> String {
    path + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
  }

  /// Writes the body of one answer to `file`.
  ///
  /// - Parameter canRestart: the file can be emptied when an answer breaks off, and the request be repeated.
  /// - Returns: the query of the next part, from its question mark on; nil after the last one.
  private func fetch(_ target: String, to file: SystemFile, canRestart: Bool) throws(CommandError) -> String? {
    var began = false
    do throws(RemoteFailure) {
      let response = try service.send(ClientRequest("GET", target)) { () throws(ClientError) in
        guard began else { return }
        guard canRestart else { throw ClientError(.receiver, "the answer broke off") }
        try Self.receiver { () throws(CommandError) in try file.clear() }
      } receiving: { (piece: ArraySlice<UInt8>) throws(ClientError) in
        began = true
        try Self.receiver { () throws(CommandError) in try file.write(piece) }
      }
      return response.nextQuery
    } catch {
      throw CommandError("\(error)")
    }
  }

  private static func receiver(_ work: () throws(CommandError) -> Void) throws(ClientError) {
    do throws(CommandError) {
      try work()
    } catch {
      throw ClientError(.receiver, error.description)
    }
  }

  private static func content(of path: String) throws(CommandError) -> (rows: Int, version: Int) {
    do throws(SafetensorsError) {
      let archive = try SafetensorsArchive(memoryMapping: path)
      let collection = archive.metadata["collection"].flatMap { try? JSONDocument(Array($0.utf8)).root }
      return (archive.tensor("vectors")?.shape.first ?? 0, collection?["version"]?.integer ?? 0)
    } catch {
      throw CommandError("the answer is not an export: \(error.message)")
    }
  }
}

extension ClientResponse {
  /// The query of the Link to the next part (RFC 8288), from its question mark on.
  fileprivate var nextQuery: String? {
    guard let link = field("link"), link.hasPrefix("<?"), link.hasSuffix(">; rel=\"next\"") else { return nil }
    return String(link.dropFirst().prefix { $0 != ">" })
  }
}
