import CPQ
import Synchronization

/// The servers that an address names, in the order in which they are tried.
///
/// libpq tries one after the other, but waits for a server that does not answer at all, as where its machine has failed, for as long as
/// the whole connection may take. So such a server is tried last from then on; otherwise those behind it would never have their turn.
final class ServerOrder: Sendable {
  let url: String

  private struct Servers {
    var hosts: [String] = []
    var addresses: [String] = []
    /// One for each, or one for all.
    var ports: [String] = []
    /// How many of them stand at the end that stood at the beginning of the address.
    var passed = 0
  }

  private let servers: Mutex<Servers>

  init(_ url: String) {
    self.url = url
    servers = Mutex(Self.servers(in: url))
  }

  /// libpq's keywords that override those of the address; empty where the order is that of the address.
  var options: [(String, String)] {
    servers.withLock { servers in
      guard servers.passed > 0 else { return [] }
      return [("host", servers.hosts), ("hostaddr", servers.addresses), ("port", servers.ports)].compactMap {
        keyword, list in
        guard list.count > 1 else { return nil }
        let order = list[servers.passed...] + list[..<servers.passed]
        return (keyword, order.joined(separator: ","))
      }
    }
  }

  /// Notes that a server has not answered, as libpq names it.
  func passOver(host: String, port: String) {
    servers.withLock { servers in
      let count = max(servers.hosts.count, servers.addresses.count)
      guard count > 1 else { return }
      let place = (0..<count).first { place in
        func isOne(_ list: [String], _ value: String) -> Bool {
          list.isEmpty || list[list.count == 1 ? 0 : min(place, list.count - 1)] == value
        }
        let names = [servers.hosts, servers.addresses].compactMap { place < $0.count ? $0[place] : nil }
        return names.contains(host) && isOne(servers.ports, port)
      }
      servers.passed = ((place ?? servers.passed) + 1) % count
    }
  }

  private static func servers(in url: String) -> Servers {
    var servers = Servers()
    // SAFETY: libpq allocates the options, an array that ends with one without a name; they are freed before this returns.
    guard let options = PQconninfoParse(url, nil) else { return servers }
    defer { PQconninfoFree(options) }
    var next = options
    while let name = next.pointee.keyword {
      let list = next.pointee.val.map { value in
        String(cString: value).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      }
      switch String(cString: name) {
      case "host": servers.hosts = list ?? []
      case "hostaddr": servers.addresses = list ?? []
      case "port": servers.ports = list ?? []
      default: break
      }
      next += 1
    }
    return servers
  }
}
