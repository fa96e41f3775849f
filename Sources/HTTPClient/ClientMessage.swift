/// A request as a caller states it; Host and Content-Length are the client's own.
public struct ClientRequest: Sendable {
  public var method: String
  /// Below the service's URL, from the first slash on, percent-encoded.
  public var path: String
  public var fields: [(name: String, value: String)]
  public var body: [UInt8]

  public init(_ method: String, _ path: String, fields: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.method = method
    self.path = path
    self.fields = fields
    self.body = body
  }

  /// The bytes before the body.
  func head(for url: ServiceURL) -> [UInt8] {
    var text = "\(method) \(url.prefix)\(path) HTTP/1.1\r\nHost: \(url.authority)\r\n"
    for field in fields { text += "\(field.name): \(field.value)\r\n" }
    if !body.isEmpty || method == "POST" || method == "PUT" { text += "Content-Length: \(body.count)\r\n" }
    return Array((text + "\r\n").utf8)
  }
}

/// A whole answer.
public struct ClientResponse: Sendable {
  public let status: Int
  /// Names in lower case.
  public let fields: [(name: String, value: String)]
  /// Empty where the body went elsewhere.
  public internal(set) var body: [UInt8] = []

  /// The value of the first field of that name, in lower case.
  public func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

  public var isSuccess: Bool { (200...299).contains(status) }
}
