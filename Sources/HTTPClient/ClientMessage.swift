/// A request. The client adds the fields Host and Content-Length.
public struct ClientRequest: Sendable {
  public var method: String
  /// The path and query below the service's URL. It begins with a slash and is percent-encoded.
  public var path: String
  public var fields: [(name: String, value: String)]
  public var body: [UInt8]

  public init(_ method: String, _ path: String, fields: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.method = method
    self.path = path
    self.fields = fields
    self.body = body
  }

  /// The request line and the fields, including the empty line at the end.
  func head(for url: ServiceURL, key: String? = nil) -> [UInt8] {
    var text = "\(method) \(url.prefix)\(path) HTTP/1.1\r\nHost: \(url.authority)\r\n"
    if let key { text += "Authorization: Bearer \(key)\r\n" }
    for field in fields { text += "\(field.name): \(field.value)\r\n" }
    if !body.isEmpty || method == "POST" || method == "PUT" { text += "Content-Length: \(body.count)\r\n" }
    return Array((text + "\r\n").utf8)
  }
}

/// A complete answer.
public struct ClientResponse: Sendable {
  public let status: Int
  /// The fields in the order of the answer, with names in lower case.
  public let fields: [(name: String, value: String)]
  /// The decoded body; empty when a sink has taken it.
  public internal(set) var body: [UInt8] = []

  /// The value of the first field of that name; nil when there is none.
  ///
  /// - Parameter name: the name in lower case.
  public func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

  public var isSuccess: Bool { (200...299).contains(status) }
}
