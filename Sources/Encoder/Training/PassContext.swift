import SimilarityCore
import Synchronization

/// Where dropout is applied: the number that its generator takes, and the probability.
struct DropoutSite: Sendable {
  let site: UInt32
  let probability: Float
}

/// What the parts of a model need to know of the pass that is under way.
// SAFETY: pieces of a step write to what belongs to their rows, outputs or heads; `values` are not written during a pass.
struct PassContext: @unchecked Sendable {
  let kernels: Kernels
  let rows: TokenRows
  let values: UnsafePointer<Float>
  let dropout: Dropout?
  let team: Team?
  let failure = PassFailure()

  /// Calls `body` with each of 0 ..< count and the number of the thread, and waits for all calls.
  ///
  /// - Throws: ``EncodingFailure/outOfMemory`` where a piece failed.
  func step(_ count: Int, _ body: @escaping (_ piece: Int, _ worker: Int) -> Void) throws(EncodingFailure) {
    if let team {
      team.forEachPiece(count, body)
    } else {
      for piece in 0..<count { body(piece, 0) }
    }
    if failure.isSet { throw .outOfMemory }
  }

  /// Calls `body` with each piece of the rows.
  func stepOverRows(
    _ body: @escaping (_ part: Range<Int>, _ piece: Int, _ worker: Int) -> Void
  ) throws(EncodingFailure) {
    try step(rows.pieces.count) { piece, worker in body(rows.pieces[piece], piece, worker) }
  }

  /// Notes a failure of `body`. The library fails for want of memory only, since all shapes are valid.
  func attempt(_ body: () throws(ProductFailure) -> Void) {
    do throws(ProductFailure) { try body() } catch { failure.set() }
  }

  /// out = x with the values set to zero that `site` says, for the rows `part`, [part.count, width]. It is its own
  /// backward pass. `out` may be `x`.
  func drop(
    _ x: UnsafePointer<Float>, _ part: Range<Int>, width: Int, _ site: DropoutSite?,
    into out: UnsafeMutablePointer<Float>
  ) {
    guard let dropout, let site, site.probability > 0 else {
      if x != UnsafePointer(out) { out.update(from: x, count: part.count * width) }
      return
    }
    rows.forEachText(in: part) { text, row, position, count in
      let offset = (row - part.lowerBound) * width
      kernels.dropout(
        x + offset, count: count * width, from: position * width, seed: dropout.seed, serial: dropout.serials[text],
        site: site.site, probability: site.probability, into: out + offset)
    }
  }
}

/// Whether a piece of a pass has failed.
final class PassFailure: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
