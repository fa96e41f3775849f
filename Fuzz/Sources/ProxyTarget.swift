import HTTP1

/// The header of the PROXY protocol. The input is the first bytes of a connection.
enum ProxyTarget {
  static func run(_ input: [UInt8]) {
    var first: (progress: ProxyHeader.Progress, after: Int)?
    for end in 0...min(input.count, ProxyHeader.longest + 1) {
      let progress = ProxyHeader.parse(Array(input[..<end]))
      // What has been said stays so, whatever follows.
      if let first {
        require(progress == first.progress, "\(first.progress) after \(first.after) bytes, \(progress) after \(end)")
        if end > first.after + 2 { break }
      } else if progress != .partial {
        first = (progress, end)
      }
    }
    let whole = ProxyHeader.parse(input)
    require(whole == first?.progress ?? .partial, "\(whole) at once, \(String(describing: first)) in pieces")
    switch whole {
    case .partial: require(input.count < ProxyHeader.longest, "\(input.count) bytes are not enough")
    case .bad(let reason): require(!reason.isEmpty, "no reason")
    case .whole(let header):
      require(
        header.byteCount == first?.after, "a header of \(header.byteCount) bytes was whole after \(first?.after ?? 0)")
      if case .address(let address, let port) = header.source {
        require((0...65_535).contains(port), "port \(port)")
        require(IPAddress(address.description) == address, "\(address) is read as another one")
      }
    }
    // Addresses and networks are read from fields and flags, too.
    let text = String(decoding: input.prefix(64), as: UTF8.self)
    if let address = IPAddress(text) {
      require(IPAddress(address.description) == address, "\(text) becomes \(address)")
    }
    if let network = IPNetwork(text), let address = text.split(separator: "/").first.flatMap({ IPAddress($0) }) {
      require(network.contains(address), "\(text) does not contain its own address")
    }
  }
}
