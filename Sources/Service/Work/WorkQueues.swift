import Dispatch
import Platform
import Synchronization

/// Serial Dispatch queues, one for each core. A job runs to its end before the next job of its queue starts.
public final class WorkQueues: Sendable {
  public typealias Job = @Sendable () -> Void

  private let queues: [DispatchQueue]
  /// Set on each queue, of whatever lane: where it stands among those of its lane.
  private static let mark = DispatchSpecificKey<Place>()

  private struct Place {
    let lane: ObjectIdentifier
    let queue: Int
  }

  /// For each queue, the number of jobs that it has been given and not finished.
  private let load: Mutex<[Int]>
  /// For each event loop: the jobs of a pass are handed over together, whatever the other loops do meanwhile.
  private let collections: [Collection]
  /// In jobs.
  let meter = WorkMeter(rate: 10_000)
  /// Requests that wait for a queue.
  let waits = WaitMeter()
  /// Of the batches of each model that run here.
  private let encoders = Mutex<[WorkMeter]>([])

  /// The jobs that one event loop has collected. The lock is free unless two servers number their loops alike.
  private final class Collection: Sendable {
    let jobs = Mutex<[Job]>([])
  }

  /// - Parameter loops: event loops that collect jobs.
  public init(count: Int, loops: Int = 1) {
    queues = (0..<max(1, count)).map { DispatchQueue(label: "nearfar.work.\($0)", qos: .userInitiated) }
    collections = (0..<max(1, loops)).map { _ in Collection() }
    load = Mutex([Int](repeating: 0, count: queues.count))
    for (index, queue) in queues.enumerated() {
      queue.setSpecific(key: Self.mark, value: Place(lane: ObjectIdentifier(self), queue: index))
    }
  }

  public var count: Int { queues.count }

  private func collection(_ loop: Int) -> Collection { collections[loop % collections.count] }

  /// Keeps `job` until ``flush(loop:)``: a pass of an event loop hands over its jobs together.
  func collect(loop: Int, _ job: @escaping Job) {
    meter.add(1)
    collection(loop).jobs.withLock { $0.append(job) }
  }

  /// Hands over what was collected, one block for each queue that gets something.
  func flush(loop: Int) {
    let jobs = collection(loop).jobs.withLock { jobs in
      defer { jobs.removeAll(keepingCapacity: true) }
      return jobs
    }
    guard !jobs.isEmpty else { return }
    var shares = [[Job]](repeating: [], count: queues.count)
    for job in jobs { shares[claim()].append(job) }
    for (queue, share) in shares.enumerated() where !share.isEmpty {
      queues[queue].async {
        for job in share {
          self.run(job)
          self.release(queue)
        }
      }
    }
  }

  /// Runs a job that was collected, and takes its time.
  private func run(_ job: Job) {
    let began = SystemClock.monotonic
    job()
    meter.remove(1)
    meter.measured(1, seconds: Double(SystemClock.monotonic &- began) / 1e9, parallel: queues.count)
  }

  /// Hands over one job now.
  func submit(_ job: @escaping Job) { submit(job, to: claim()) }

  /// Hands over what follows a job that calls this at its very end. The caller no longer counts as work of its queue: otherwise
  /// two queues that are equally busy would send what follows on both to the first, and the second would be idle.
  func submitNext(_ job: @escaping Job) {
    let place = DispatchQueue.getSpecific(key: Self.mark)
    submit(job, to: claim(leaving: place?.lane == ObjectIdentifier(self) ? place?.queue : nil))
  }

  private func submit(_ job: @escaping Job, to queue: Int) {
    queues[queue].async {
      job()
      self.release(queue)
    }
  }

  /// Runs a job at once when this is a thread of a work queue, of whatever lane, and hands it over otherwise.
  func runOnQueue(_ job: @escaping Job) {
    if DispatchQueue.getSpecific(key: Self.mark) != nil { job() } else { submit(job) }
  }

  /// Adds a model's batches to ``encodingBacklog``.
  func add(encoder meter: WorkMeter) { encoders.withLock { $0.append(meter) } }

  /// Seconds until what waits here for encoders is done, whichever model it is for: all share the cores.
  package var encodingBacklog: Double { encoders.withLock { $0 }.reduce(0) { $0 + $1.backlog } }

  /// The queue with the least to do.
  ///
  /// - Parameter leaving: the queue whose present job is about to end.
  private func claim(leaving: Int? = nil) -> Int {
    load.withLock { load in
      func left(_ queue: Int) -> Int { load[queue] - (queue == leaving ? 1 : 0) }
      var least = leaving ?? 0
      for queue in load.indices where left(queue) < left(least) { least = queue }
      load[least] += 1
      return least
    }
  }

  private func release(_ queue: Int) {
    load.withLock { $0[queue] -= 1 }
  }
}
