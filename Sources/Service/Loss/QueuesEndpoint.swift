import HTTP1
import JSON
import VectorStore

/// `/queues` and `/queues/{name}`: MoCo's dictionaries of earlier keys.
struct QueuesEndpoint: Sendable {
  let queues: QueueRegistry
  /// nil where no other replica shares the records.
  let shared: SharedQueues?
  let limits: Limits

  private static let mostRows = 1_000_000

  func create(_ call: Call) throws {
    let name = try call.name(of: "a queue")
    var fields = try Fields(try call.json(limits))
    guard let capacity = try fields.integer("capacity", in: 1...Self.mostRows) else {
      throw Problem.invalid("capacity", "is required")
    }
    guard let dimension = try fields.integer("dim", in: 1...limits.maxDimension) else {
      throw Problem.invalid("dim", "is required")
    }
    // Where replicas share the records, a queue of one of them alone would be missing on the others.
    let isDurable = try fields.bool("durable", default: shared != nil)
    try fields.finish()
    guard isDurable else {
      if let existing = queues.find(name), existing.shared != nil {
        throw Problem(409, "queue '\(name)' exists and is durable", param: "durable")
      }
      let (queue, created) = try queues.create(name, capacity: capacity, dimension: dimension)
      return call.answer(status: created ? 201 : 200) { Self.describe(queue, to: &$0) }
    }
    guard let shared else {
      throw Problem.invalid("durable", "needs a database that keeps queues (--store)")
    }
    if let existing = queues.find(name), existing.shared == nil {
      throw Problem(409, "queue '\(name)' exists and is not durable", param: "durable")
    }
    shared.create(name, capacity: capacity, dimension: dimension) { result in
      switch result {
      case .failure(let problem): call.fail(problem)
      case .success(let (queue, created)): Self.answer(queue, status: created ? 201 : 200, call)
      }
    }
  }

  func list(_ call: Call) {
    call.answer { writer in
      writer.object { writer in
        writer.key("queues")
        writer.array { for queue in queues.all { Self.describe(queue, to: &$0) } }
      }
    }
  }

  func describe(_ call: Call) throws {
    Self.answer(try queues.queue(try call.name(of: "a queue")), status: 200, call)
  }

  func delete(_ call: Call) throws {
    let name = try call.name(of: "a queue")
    let queue = try queues.queue(name)
    guard let shared, let id = queue.shared else {
      try queues.delete(name)
      return call.answer(Response(status: 204))
    }
    shared.drop(queue, id) { problem in
      if let problem { return call.fail(problem) }
      // Whoever comes with this token waits until the queue has gone where it asks.
      call.note(VersionToken(name: SharedQueues.prefix + name, epoch: id, version: .max))
      call.answer(Response(status: 204))
    }
  }

  private static func answer(_ queue: ServedQueue, status: Int, _ call: Call) {
    if let token = queue.token { call.note(token) }
    call.answer(status: status) { describe(queue, to: &$0) }
  }

  private static func describe(_ queue: ServedQueue, to writer: inout JSONWriter) {
    let counts = queue.counts
    writer.object { writer in
      writer.member("name", queue.name)
      writer.member("capacity", queue.capacity)
      writer.member("dim", queue.dimension)
      writer.member("count", counts.held)
      writer.member("appended", counts.appended)
      guard queue.shared != nil else { return }
      writer.member("durable", true)
      writer.member("version", queue.progress.version)
    }
  }
}
