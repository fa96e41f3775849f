import Dispatch
import Service
import Synchronization
import Testing

/// What decides when work is done, and whether it is taken in.
@Suite struct WorkTests {
  @Test func aMeterMeasuresThePace() {
    let meter = WorkMeter(rate: 100)
    #expect(meter.backlog == 0 && meter.seconds(50) == 0.5)
    meter.add(300)
    #expect(meter.backlog == 3)
    // A second of work at ten times the pace counts for 0.3, in times: 0.7 / 100 + 0.3 / 1000.
    meter.measured(1000, seconds: 1)
    #expect(abs(meter.backlog - 300 * (0.7 / 100 + 0.3 / 1000)) < 1e-9)
    for _ in 0..<100 { meter.measured(1000, seconds: 1) }
    #expect(abs(meter.backlog - 0.3) < 1e-6)
    meter.remove(200)
    #expect(abs(meter.backlog - 0.1) < 1e-6)
    meter.remove(1e9)
    #expect(meter.backlog == 0)
    // Nothing measured and absurd measurements leave a usable pace.
    meter.measured(0, seconds: 1)
    meter.measured(1, seconds: 0)
    meter.measured(1, seconds: 1e300)
    #expect(meter.nanoseconds(.greatestFiniteMagnitude) == 1_000_000_000_000_000_000)
  }

  @Test func piecesThatRunAtOnceCountTogether() {
    let meter = WorkMeter(rate: 1)
    for _ in 0..<200 { meter.measured(10, seconds: 1, parallel: 4) }
    #expect(abs(meter.seconds(40) - 1) < 1e-6)
  }

  @Test func aWideLaneRunsTheCheapestFirst() {
    let lane = WideLane()
    let order = Mutex<[Int]>([])
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    lane.submit(.products, cost: 1, deadline: .max) { _ in gate.wait() }
    // They wait behind the first; 2e10 multiplications a second are assumed.
    for (number, cost) in [(0, 6e12), (1, 2e12), (2, 4e12)] {
      lane.submit(.products, cost: cost, deadline: .max) { isInTime in
        order.withLock { $0.append(isInTime ? number : -1) }
        done.signal()
      }
    }
    #expect(lane.backlog > 500)
    gate.signal()
    for _ in 0..<3 { #expect(done.wait(timeout: .now() + 20) == .success) }
    #expect(order.withLock { $0 } == [1, 2, 0])
  }

  @Test func aWideLaneDropsWhatCannotBeInTime() {
    let lane = WideLane()
    let results = Mutex<[Bool]>([])
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    lane.submit(.queries, cost: 1, deadline: .max) { _ in gate.wait() }
    for deadline in [UInt64.max, 1] {
      lane.submit(.queries, cost: 100, deadline: deadline) { isInTime in
        results.withLock { $0.append(isInTime) }
        done.signal()
      }
    }
    gate.signal()
    for _ in 0..<2 { #expect(done.wait(timeout: .now() + 20) == .success) }
    #expect(results.withLock { $0 } == [false, true])
  }

  @Test(arguments: ["", "0", "-1", "+1", "1.5", "86400001", "99999999999999999999", " 1", "1 ", "1e3", "0x10", "１"])
  func otherTimesAreRefused(_ text: String) { #expect(RequestTimeout.nanoseconds(text) == nil) }

  @Test func timesAreMilliseconds() {
    #expect(RequestTimeout.nanoseconds("1") == 1_000_000)
    #expect(RequestTimeout.nanoseconds("86400000") == 86_400_000_000_000)
    #expect(RequestTimeout.nanoseconds("00000250") == 250_000_000)
  }
}
