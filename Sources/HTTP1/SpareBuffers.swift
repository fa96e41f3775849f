/// Buffers that the connections of one thread use in turn.
///
/// A connection takes one when it has something to put in and gives it back when that is done with. So a connection that is
/// idle holds none, and however many there are, the few buffers that are in use stay in the processor's cache.
public final class SpareBuffers {
  // SAFETY: one thread uses them, and nothing that is called during an access comes back to them.
  @exclusivity(unchecked) private var head: [UInt8] = []
  @exclusivity(unchecked) private var lines: [HTTPFields.Line] = []
  @exclusivity(unchecked) private var outputs: [[UInt8]] = []

  /// More than that is not kept for what comes next.
  private static let maxKeptBytes = 65_536
  /// Answers that wait to be sent at the same time, as a rule.
  private static let maxKeptOutputs = 32

  public init() {}

  /// An empty buffer for the bytes of a head.
  func takeHead() -> [UInt8] { Self.take(&head) }

  /// An empty buffer for the field lines of a head.
  func takeLines() -> [HTTPFields.Line] {
    if lines.capacity == 0 { lines.reserveCapacity(16) }
    return Self.take(&lines)
  }

  /// An empty buffer for what is to be sent.
  func takeOutput() -> [UInt8] { outputs.popLast() ?? [] }

  /// Takes back what a head was made of. That saves nothing where somebody else still has the head.
  func giveBack(_ unwanted: consuming RequestHead) {
    (head, lines) = unwanted.storage()
    head.removeAll(keepingCapacity: head.capacity <= Self.maxKeptBytes)
    lines.removeAll(keepingCapacity: true)
  }

  func giveBack(output buffer: inout [UInt8]) {
    guard buffer.capacity <= Self.maxKeptBytes, outputs.count < Self.maxKeptOutputs else {
      buffer = []
      return
    }
    outputs.append(Self.take(&buffer))
  }

  private static func take<Element>(_ buffer: inout [Element]) -> [Element] {
    var taken: [Element] = []
    swap(&taken, &buffer)
    return taken
  }
}
