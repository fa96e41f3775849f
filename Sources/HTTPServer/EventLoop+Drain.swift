import HTTP1
import Platform

extension EventLoop {
  /// Runs until `shouldDrain` says so and nothing is in flight. False when the drain time cut requests off.
  func run(until shouldDrain: () -> Bool) throws(ServerError) -> Bool {
    while !shouldDrain() { _ = try pass(latest: nil) }

    beginDraining()
    let end = now &+ SystemClock.nanoseconds(configuration.drainTimeout)
    var isQuiet = false
    while now < end {
      let isSettled = connections.all.allSatisfy(\.state.isIdle)
      // Once more around before the listener goes: what has reached the kernel's queue by now is served too.
      if isSettled, isQuiet { break }
      isQuiet = try !pass(latest: isSettled ? now : end) && isSettled
    }
    let isComplete = !connections.all.contains(where: \.state.isBusy)
    for connection in connections.all { close(connection) }
    return isComplete
  }

  private func beginDraining() {
    isDraining = true
    for connection in connections.all {
      connection.state.drain()
      advance(connection)
    }
    finishPass()
  }
}
