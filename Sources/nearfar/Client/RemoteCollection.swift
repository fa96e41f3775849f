import HTTPClient
import JSON

/// A collection of a running service.
struct RemoteCollection {
  let service: RemoteService
  let name: String

  var path: String { "/collections/\(name.pathSegment)" }

  struct Description {
    let dimension: Int
    let metric: String
    let version: Int
  }

  /// nil when there is no such collection.
  func describe() throws(RemoteFailure) -> Description? {
    do throws(RemoteFailure) {
      return Self.description(try service.json("GET", path))
    } catch {
      guard case .refused(404, _, _) = error else { throw error }
      return nil
    }
  }

  /// Makes the collection; one that is alike is as good.
  ///
  /// - Parameter recallTarget: given to one that exists as well; nil leaves it as it is.
  func create(dimension: Int, metric: String, recallTarget: Double? = nil) throws(RemoteFailure) -> Description? {
    var body = JSONWriter()
    body.beginObject()
    body.key("dim")
    body.integer(dimension)
    body.key("metric")
    body.string(metric)
    if let recallTarget {
      body.key("recall_target")
      body.number(recallTarget)
    }
    body.endObject()
    return Self.description(try service.json("PUT", path, body.bytes))
  }

  /// Inserts or replaces points.
  ///
  /// - Returns: the version that holds them.
  func upsert(_ body: [UInt8], type: String) throws(RemoteFailure) -> Int {
    let request = ClientRequest("PUT", path + "/points", fields: [(name: "Content-Type", value: type)], body: body)
    let response = try service.send(request)
    return (try? JSONDocument(response.body).root)?["version"]?.integer ?? 0
  }

  private static func description(_ value: JSONValue) -> Description? {
    guard let dimension = value["dim"]?.integer, let metric = value["metric"]?.string else { return nil }
    return Description(dimension: dimension, metric: metric, version: value["version"]?.integer ?? 0)
  }
}
