import HTTP1

/// The proxies whose word counts on whose request it is.
///
/// Each proxy appends to `X-Forwarded-For` (or RFC 7239's `Forwarded`) the address that it was connected from. So the list is read from its
/// end, as far as those who wrote it are trusted: the first address that is not a trusted proxy is the client. What is before it may be
/// invented. The address serves for logs and limits only; nobody gets a right by it.
public struct TrustedProxies: Sendable {
  private let networks: [IPNetwork]

  /// None: the client is whoever is connected.
  public init() { networks = [] }

  /// Networks and addresses separated by commas: `10.0.0.0/8,2001:db8::1`.
  ///
  /// - Returns: nil when one is neither, or has bits set behind its prefix.
  public init?(_ list: String) {
    var networks: [IPNetwork] = []
    for part in list.split(separator: ",") {
      guard let network = IPNetwork(MediaType.trimmed(part)) else { return nil }
      networks.append(network)
    }
    self.networks = networks
  }

  private func contains(_ address: IPAddress) -> Bool { networks.contains { $0.contains(address) } }

  /// Whose request it is.
  ///
  /// - Returns: nil where that is not known: the connection came over a unix socket.
  package func client(of head: RequestHead, from peer: Peer) -> IPAddress? {
    guard let connected = peer.ip, contains(connected) else { return peer.ip }
    let said = [
      client(head.fields.values(of: "x-forwarded-for").map(Self.addresses(inXForwardedFor:)), connected),
      client(head.fields.values(of: "forwarded").map(Self.addresses(inForwarded:)), connected),
    ].compactMap { $0 }
    // A proxy writes one of the two fields and may pass on the other as a client has sent it. Where they disagree, neither counts.
    guard let first = said.first, said.allSatisfy({ $0 == first }) else { return connected }
    return first
  }

  /// - Parameter lines: what each line of a field names, in order; nil stands for an element that is not an address.
  /// - Returns: nil when there is no line.
  private func client(_ lines: [[IPAddress?]], _ connected: IPAddress) -> IPAddress? {
    guard !lines.isEmpty else { return nil }
    var client = connected
    for address in lines.joined().reversed() {
      // What cannot be read is nobody's word. Whoever has passed it on is the last who is known.
      guard let address else { break }
      client = address
      guard contains(address) else { break }
    }
    return client
  }

  /// nil stands for an element that is not an address.
  private static func addresses(inXForwardedFor value: String) -> [IPAddress?] {
    value.split(separator: ",").map(MediaType.trimmed).filter { !$0.isEmpty }.map { node(Array($0.utf8)[...]) }
  }

  /// The `for` of each element (RFC 7239, 4); nil stands for one that is missing, hidden or not an address. A line whose quotes do not
  /// match says nothing.
  private static func addresses(inForwarded value: String) -> [IPAddress?] {
    guard !value.isEmpty, let elements = split(Array(value.utf8)[...], at: UInt8(ascii: ",")) else { return [nil] }
    var found: [IPAddress?] = []
    for element in elements where !element.allSatisfy(isBlank) {
      var nodes: [IPAddress?] = []
      for pair in split(element, at: UInt8(ascii: ";")) ?? [] {
        let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false).map(
          trimmed)
        guard parts.count == 2, String(decoding: parts[0], as: UTF8.self).lowercased() == "for" else { continue }
        nodes.append(node(unquoted(parts[1])[...]))
      }
      found.append(nodes.count == 1 ? nodes[0] : nil)
    }
    return found
  }

  /// An address as both fields have it: alone, or with a port, for which an IPv6 address is in brackets.
  private static func node(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
    let text = String(decoding: bytes, as: UTF8.self)
    if let address = IPAddress(text) { return address }
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), bytes.last != UInt8(ascii: "]") else {
      return bracketed(bytes)
    }
    let port = bytes[(colon + 1)...]
    guard (1...16).contains(port.count), port.allSatisfy(isPortCharacter) else { return nil }
    let host = bytes[..<colon]
    if let address = bracketed(host) { return address }
    return IPAddress(String(decoding: host, as: UTF8.self)).flatMap { host.contains(UInt8(ascii: ":")) ? nil : $0 }
  }

  private static func bracketed(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
    guard bytes.count > 2, bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") else { return nil }
    let inside = bytes.dropFirst().dropLast()
    return inside.contains(UInt8(ascii: ":")) ? IPAddress(String(decoding: inside, as: UTF8.self)) : nil
  }

  /// A port in digits, or hidden: `_` and a name (RFC 7239, 6).
  private static func isPortCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
    default: false
    }
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var rest = bytes.drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest.removeLast() }
    return rest
  }

  /// The parts between separators that are not in quoted strings; nil when a quoted string does not end.
  private static func split(_ bytes: ArraySlice<UInt8>, at separator: UInt8) -> [ArraySlice<UInt8>]? {
    var parts: [ArraySlice<UInt8>] = []
    var start = bytes.startIndex
    var (isQuoted, isEscaped) = (false, false)
    for (index, byte) in zip(bytes.indices, bytes) {
      if isEscaped {
        isEscaped = false
      } else if isQuoted, byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isQuoted.toggle()
      } else if byte == separator, !isQuoted {
        parts.append(bytes[start..<index])
        start = index + 1
      }
    }
    return isQuoted ? nil : parts + [bytes[start...]]
  }

  /// The content of a quoted string (RFC 9110, 5.6.4), or the bytes as they are.
  private static func unquoted(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else {
      return Array(bytes)
    }
    var content: [UInt8] = []
    var isEscaped = false
    for byte in bytes.dropFirst().dropLast() {
      if !isEscaped, byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else {
        content.append(byte)
        isEscaped = false
      }
    }
    return content
  }
}
