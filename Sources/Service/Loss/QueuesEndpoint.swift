import HTTP1
import JSON

/// `/queues` and `/queues/{name}`: MoCo's dictionaries of earlier keys.
struct QueuesEndpoint: Sendable {
  let queues: QueueRegistry
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
    try fields.finish()
    let (queue, created) = try queues.create(name, capacity: capacity, dimension: dimension)
    call.answer(status: created ? 201 : 200) { Self.describe(queue, to: &$0) }
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
    let queue = try queues.queue(try call.name(of: "a queue"))
    call.answer { Self.describe(queue, to: &$0) }
  }

  func delete(_ call: Call) throws {
    try queues.delete(try call.name(of: "a queue"))
    call.answer(Response(status: 204))
  }

  private static func describe(_ queue: ServedQueue, to writer: inout JSONWriter) {
    let counts = queue.counts
    writer.object { writer in
      writer.member("name", queue.name)
      writer.member("capacity", queue.capacity)
      writer.member("dim", queue.dimension)
      writer.member("count", counts.held)
      writer.member("appended", counts.appended)
    }
  }
}
