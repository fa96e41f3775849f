import Compression
import HTTP1
import JSON

/// How the bytes of a body are coded for the way (RFC 9110, 8.4).
enum ContentCoding: Sendable, Hashable {
  case identity
  case gzip

  /// The coding of a request's body. One of another coding is not let in.
  init(of head: RequestHead) {
    self = head.fields["content-encoding"].flatMap(ContentCoding.init(contentEncoding:)) ?? .identity
  }

  /// The coding that a Content-Encoding field names; `x-gzip` is gzip (RFC 9110, 8.4.1.3).
  ///
  /// - Returns: nil when it names another one, or several.
  init?(contentEncoding field: String) {
    switch MediaType.trimmed(field[...]) {
    case "identity", "": self = .identity
    case "gzip", "x-gzip": self = .gzip
    default: return nil
    }
  }

  /// The one that an Accept-Encoding field prefers (RFC 9110, 12.5.3). Of two that it likes equally well, gzip is taken. Where it
  /// has no preference that can be met, the answer is not coded.
  init(acceptEncoding field: String?) {
    guard let field else {
      // Any coding would be acceptable, but a client that does not ask for one may not know any.
      self = .identity
      return
    }
    var (gzip, identity, others): (Double?, Double?, Double?)
    for part in field.split(separator: ",") {
      let parameters = part.split(separator: ";", omittingEmptySubsequences: false).map(MediaType.trimmed)
      let quality = Self.quality(parameters.dropFirst())
      switch parameters.first {
      case "gzip", "x-gzip": gzip = max(gzip ?? 0, quality)
      case "identity": identity = quality
      case "*": others = quality
      default: break
      }
    }
    let wish = gzip ?? others ?? 0
    // Without a mention identity is acceptable, but less than whatever is mentioned.
    self = wish > 0 && wish >= identity ?? others ?? 0 ? .gzip : .identity
  }

  /// The weight among a coding's parameters (RFC 9110, 12.4.2): 1 without one, and 0 for one that is not a number from 0 to 1.
  private static func quality(_ parameters: ArraySlice<String>) -> Double {
    guard let weight = parameters.first(where: { $0.hasPrefix("q=") })?.dropFirst(2) else { return 1 }
    guard weight.utf8.allSatisfy({ $0 == 0x2E || (0x30...0x39).contains($0) }), let value = Double(weight), value <= 1
    else { return 0 }
    return value
  }
}

/// Which answers are compressed, for clients that accept it.
public enum AnswerCompression: String, Sendable, CaseIterable {
  /// Those that become smaller by more than it costs: text, but not vectors, whose digits look like random ones.
  case on
  case off
  /// Vectors in JSON as well.
  case all

  /// Smaller answers fit into a packet or two anyway.
  static let leastBytes = 1024

  /// Whether the coding of `response` depends on what the client accepts.
  func applies(to response: Response) -> Bool {
    guard self != .off, response.stream == nil, response.body.count >= Self.leastBytes else { return false }
    switch response.density {
    case .text: break
    case .numbers: guard self == .all else { return false }
    case .packed: return false
    }
    guard let type = response.fields["content-type"] else { return false }
    return Self.types.contains { type.hasPrefix($0) }
  }

  /// Safetensors is not among them: floats do not shrink.
  private static let types = ["application/json", "application/problem+json", "application/yaml", "text/"]
}

extension Response {
  /// The answer says that caches have to tell clients apart by their Accept-Encoding.
  func varying() -> Response {
    var response = self
    response.fields.append("Vary", "Accept-Encoding")
    return response
  }

  /// The answer with its body as gzip; unchanged where that would not be smaller, or where there is no memory for it.
  ///
  /// - Parameter level: from 1, the fastest, to 9.
  func compressed(level: Int) -> Response {
    guard let coded = Gzip.deflate(body, level: level), coded.count < body.count else { return self }
    var response = self
    response.body = coded
    response.fields.append("Content-Encoding", "gzip")
    return response
  }

  /// An answer in JSON, with what the writer knows of it.
  init(_ writer: JSONWriter, status: Int = 200) {
    self.init(.json, writer.bytes, status: status)
    if writer.base64Bytes > 0 {
      density = .packed
    } else if writer.floatBytes > writer.bytes.count / 2 {
      density = .numbers
    }
  }
}

extension Problem {
  /// - Parameter limits: those that the body was inflated under.
  init(_ failure: Gzip.Failure, _ limits: Gzip.Limits) {
    switch failure {
    case .corrupt: self.init(400, "the body is not valid gzip")
    case .cutOff: self.init(400, "the body is not valid gzip: it ends too early")
    case .tooLarge(let limit): self.init(413, "the body is longer than \(limit) bytes when it is decompressed")
    case .tooDense(let ratio):
      self.init(
        413,
        """
        the body becomes more than \(ratio) times as long when it is decompressed, which is the limit for bodies of more than \
        \(limits.smallBytes) bytes
        """)
    case .outOfMemory: self.init(503, "there is not enough memory to decompress the body")
    }
  }
}
