#if !os(Linux) || NEARFAR_POLL
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  /// Readiness by poll(2), where there is no epoll. Work per call grows with the number of connections: for development.
  final class Poller {
    private var entries: [pollfd] = []
    private var tokens: [UInt64] = []
    private var places: [Int32: Int] = [:]
    private var ready: [Readiness] = []

    init() throws(ServerError) {}

    func add(listener descriptor: Int32, token: UInt64) throws(ServerError) {
      insert(descriptor, token, Int16(POLLIN))
    }

    func add(connection descriptor: Int32, token: UInt64) -> Bool {
      insert(descriptor, token, Int16(POLLIN | POLLOUT))
      return true
    }

    func remove(_ descriptor: Int32) {
      guard let place = places.removeValue(forKey: descriptor) else { return }
      entries.swapAt(place, entries.count - 1)
      tokens.swapAt(place, tokens.count - 1)
      entries.removeLast()
      tokens.removeLast()
      if place < entries.count { places[entries[place].fd] = place }
    }

    /// poll is level-triggered: only what the loop would have to wait for is asked for.
    func await(_ descriptor: Int32, reading: Bool, writing: Bool) {
      guard let place = places[descriptor] else { return }
      entries[place].events = Int16(reading ? POLLIN : 0) | Int16(writing ? POLLOUT : 0)
    }

    func wait(milliseconds: Int32) throws(ServerError) -> Int {
      ready.removeAll(keepingCapacity: true)
      let count = poll(&entries, nfds_t(entries.count), milliseconds)
      guard count >= 0 || errno == EINTR else {
        throw ServerError(operation: "poll", code: errno, message: String(cString: strerror(errno)))
      }
      guard count > 0 else { return 0 }
      for (entry, token) in zip(entries, tokens) where entry.revents != 0 {
        let flags = Int32(entry.revents)
        let isGone = flags & Int32(POLLHUP | POLLERR | POLLNVAL) != 0
        ready.append(
          Readiness(
            token: token, isReadable: isGone || flags & Int32(POLLIN) != 0,
            isWritable: isGone || flags & Int32(POLLOUT) != 0, isEnded: false, isGone: isGone))
      }
      return ready.count
    }

    subscript(index: Int) -> Readiness { ready[index] }

    private func insert(_ descriptor: Int32, _ token: UInt64, _ events: Int16) {
      places[descriptor] = entries.count
      entries.append(pollfd(fd: descriptor, events: events, revents: 0))
      tokens.append(token)
    }
  }
#endif
