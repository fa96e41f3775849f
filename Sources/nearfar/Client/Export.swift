import HTTPClient
import JSON
import Safetensors

/// `nearfar export`: a collection of a running service as a safetensors file, or as several where one cannot hold it.
struct Export {
  static let flags = ["collection", "output", "after", "limit", "shard-points"] + RemoteService.flags

  private let service: RemoteService
  private let path: String
  private let output: String
  private let query: [String]
  private let shardPoints: Int

  /// - Returns: the exit status: 0 when everything is there; what was there before is not touched otherwise.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let export = try Export(options)
    return CommandError.status { () throws(CommandError) in try export.run() }
  }

  private init(_ options: Options) throws(UsageError) {
    let name = try options.required("collection")
    output = try options.required("output")
    var query: [String] = []
    if let after = options.string("after") { query.append("after=\(after.pathSegment)") }
    if options.string("limit") != nil {
      query.append("limit=\(try options.integer("limit", default: 1, in: 1...Int.max))")
    }
    self.query = query
    shardPoints = try options.integer("shard-points", default: .max, in: 1...Int.max)
    service = try RemoteService(options)
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
        throw CommandError("the collection changed while it was exported: begin anew")
      }
      version = found.version
      points += found.rows
    }
    let names = ShardNames(output)
    let paths = parts.count == 1 ? [output] : (1...parts.count).map { names.path($0, of: parts.count) }
    for (part, path) in zip(parts, paths) { try part.publish(as: path) }
    // What an earlier export had put there would be taken for this one.
    if paths.count > 1 { SystemFile.remove(output) }
    let files = paths.count == 1 ? output : "\(paths[0]) … \(paths[paths.count - 1])"
    Log(json: false).plain("exported \(points) points to \(files)")
  }

  private func target(_ query: [String]) -> String {
    path + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
  }

  /// - Returns: the query of the next part, from its question mark on; nil behind the last one.
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
      throw CommandError("the answer is not what was asked for: \(error.message)")
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
