import HTTP1
import Synchronization

/// One request as answers, metrics and logs know it, from its head on.
struct Exchange: Sendable {
  /// nil for a request whose head could not be read.
  let head: RequestHead?
  /// The other end of the connection.
  let peer: Peer
  /// Whose request it is, as far as trusted proxies say; nil where that is not known.
  let client: IPAddress?
  /// Whose API key it has.
  let caller: Caller
  /// nil where the path has no route. The path itself is the client's choice, so it is no label for a metric.
  let route: RouteName?
  let requestID: RequestID
  /// nil for a request that has no valid `traceparent`.
  let trace: TraceContext?

  init(_ head: RequestHead?, from peer: Peer, caller: Caller, route: Route?, _ proxies: TrustedProxies) {
    self.head = head
    self.peer = peer
    client = head.map { proxies.client(of: $0, from: peer) } ?? peer.ip
    self.caller = caller
    self.route = route.map { RouteName(number: $0.number, template: $0.template) }
    requestID = RequestID(given: head?.fields["x-request-id"])
    trace = head?.fields["traceparent"].flatMap(TraceContext.init)
  }
}

/// A route as metrics and logs know it.
struct RouteName: Sendable {
  let number: Int
  /// `/collections/{name}/points`.
  let template: String
}

/// What the service learns from a head that it admits, kept until the body has come.
struct Admitted: Sendable {
  let exchange: Exchange
  let match: Router.Match
  let action: Action
  /// Its places among the requests of its client and key; nil where they are not counted.
  let places: ClientLimit.Places?
}

/// The name under which a request can be found in logs and answers.
enum RequestID: Sendable {
  /// The client's own.
  case given(String)
  /// A new one, which no `String` need be made of for the answer.
  case fresh(Hexadecimal)

  /// The client's own, when it is `[A-Za-z0-9._-]{1,128}`, else a new one.
  init(given: String?) {
    if let given, Self.isValid(given) { self = .given(given) } else { self = .fresh(Self.fresh()) }
  }

  var text: String {
    switch self {
    case .given(let text): text
    case .fresh(let digits): digits.text
    }
  }

  /// Adds the line of an answer that tells the client.
  func write(to fields: inout HTTPFields) {
    switch self {
    case .given(let text): fields.append("X-Request-Id", text)
    case .fresh(let digits): fields.append("X-Request-Id", digits.digits.span)
    }
  }

  static func isValid(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count) && text.utf8.allSatisfy(isAllowed)
  }

  /// Where the numbers of this process begin. Asking the system for each took a tenth of the time of a small request.
  private static let start = UInt64.random(in: 0 ... .max)
  private static let count = Atomic<UInt64>(0)

  /// A number that is not 0, and that no other request of this process has. It is no secret: whoever knows one could compute the next.
  static func fresh() -> Hexadecimal {
    var bits: UInt64 = 0
    while bits == 0 { bits = mixed(start &+ count.wrappingAdd(1, ordering: .relaxed).newValue) }
    return Hexadecimal(bits)
  }

  /// Spreads consecutive numbers over all 64 bits, each to another (Steele, Lea and Flood, "Fast splittable pseudorandom number
  /// generators", OOPSLA 2014, with the constants of SplitMix64).
  private static func mixed(_ number: UInt64) -> UInt64 {
    var bits = number &* 0x9E37_79B9_7F4A_7C15
    bits = (bits ^ bits &>> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits &>> 27) &* 0x94D0_49BB_1331_11EB
    return bits ^ bits &>> 31
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}

/// A number in 16 hexadecimal digits of lower case.
struct Hexadecimal: Sendable {
  let digits: [16 of UInt8]

  init(_ number: UInt64) {
    digits = [16 of UInt8] { index in
      let digit = UInt8(truncatingIfNeeded: number &>> UInt64(60 - 4 * index)) & 15
      return digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
  }

  var text: String {
    var text = ""
    for index in digits.indices { text.unicodeScalars.append(Unicode.Scalar(digits[index])) }
    return text
  }
}
