import HTTPClient
import Safetensors

/// `nearfar export`: a collection of a running service as a safetensors file.
enum Export {
  static let flags = ["collection", "output", "after", "limit"] + RemoteService.flags

  /// - Returns: the exit status: 0 when the file is whole; it is not touched otherwise.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let name = try options.required("collection")
    let output = try options.required("output")
    var query: [String] = []
    if let after = options.string("after") { query.append("after=\(after.pathSegment)") }
    if options.string("limit") != nil {
      query.append("limit=\(try options.integer("limit", default: 1, in: 1...Int.max))")
    }
    let service = try RemoteService(options)
    let collection = RemoteCollection(service: service, name: name)
    let path = collection.path + "/export" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    return CommandError.status { () throws(CommandError) in
      guard output != "-" else {
        return try fetch(path, service, to: .standardOutput, canRestart: false)
      }
      let part = output + ".part"
      do throws(CommandError) {
        let file = try SystemFile.writing(part)
        try fetch(path, service, to: file, canRestart: true)
        let rows = try rows(of: part)
        try file.publish(as: output)
        Log(json: false).plain("exported \(rows) points to \(output)")
      } catch {
        SystemFile.remove(part)
        throw error
      }
    }
  }

  private static func fetch(
    _ path: String, _ service: RemoteService, to file: SystemFile, canRestart: Bool
  ) throws(CommandError) {
    var began = false
    do throws(RemoteFailure) {
      _ = try service.send(ClientRequest("GET", path)) { () throws(ClientError) in
        guard began else { return }
        guard canRestart else { throw ClientError(.receiver, "the answer broke off") }
        try receiver { () throws(CommandError) in try file.clear() }
      } receiving: { (piece: ArraySlice<UInt8>) throws(ClientError) in
        began = true
        try receiver { () throws(CommandError) in try file.write(piece) }
      }
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

  private static func rows(of path: String) throws(CommandError) -> Int {
    do throws(SafetensorsError) {
      return try SafetensorsArchive(memoryMapping: path).tensor("vectors")?.shape.first ?? 0
    } catch {
      throw CommandError("the answer is not what was asked for: \(error.message)")
    }
  }
}
