import Dispatch
import HTTP1
import Synchronization
import Testing

@Suite("Shares")
struct SharesTests {
  @Test("A client has at most as many as it may, and what it has ended counts no longer")
  func limit() {
    let shares = Shares<String>(limit: 2)
    let first = shares.take("a")
    var second = shares.take("a")
    #expect(first != nil && second != nil)
    #expect(shares.take("a") == nil)
    #expect(shares.take("b") != nil)
    first?.end()
    first?.end()
    #expect(shares.take("a") != nil, "what is not kept is given back at once")
    #expect(shares.clients == 1)
    second = nil
    #expect(shares.clients == 0)
    withExtendedLifetime(second) {}
  }

  @Test("Clients that have nothing are forgotten")
  func forgotten() {
    let shares = Shares<Int>(limit: 1)
    var held = (0..<10_000).compactMap { shares.take($0) }
    #expect(held.count == 10_000 && shares.clients == 10_000)
    held.removeLast(9_990)
    #expect(shares.clients == 10)
    #expect(shares.take(5) == nil)
    #expect(shares.take(5000) != nil)
    held = []
    #expect(shares.clients == 0)
  }

  @Test("Many threads take no more than there is")
  func threads() {
    let shares = Shares<Int>(limit: 7)
    let most = Atomic(0)
    let now = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<2000 {
        guard let share = shares.take(1) else { continue }
        most.max(now.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
        now.subtract(1, ordering: .relaxed)
        share.end()
      }
    }
    #expect((1...7).contains(most.load(ordering: .relaxed)))
    #expect(shares.clients == 0)
  }
}
