/// A request without Host and Content-Length, which the client adds.
public struct ClientRequest: Sendable {
  public var method: String
  /// The path and query below the service's URL, beginning with a slash, percent-encoded.
  public var path: String
  public var fields: [(name: String, value: String)]
  public var body: [UInt8]

  public init(_ method: String, _ path: String, fields: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.method = method
    self.path = path
    self.fields = fields
    self.body = body
  }

  /// The request line and the fields, with the empty line that ends them.
  func head(for url: ServiceURL) -> [UInt8] {
    var text = "\(method) \(url.prefix)\(path) HTTP/1.1\r\nHost: \(url.authority)\r\n"
    for field in fields { text += "\(field.name): \(field.value)\r\n" }
    if !body.isEmpty || method == "POST" || method == "PUT" { text += "Content-Length: \(body.count)\r\n" }
    return Array((text + "\r\n").utf8)
  }
}

/// A complete answer.
public struct ClientResponse: Sendable {
  public let status: Int
  /// Names in lower case.
  public let fields: [(name: String, value: String)]
  /// Empty when a sink has taken the body.
  public internal(set) var body: [UInt8] = []

  /// The value of the first field of that name.
  ///
  /// - Parameter name: in lower case.
  public func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

  public var isSuccess: Bool { (200...299).contains(status) }
}
