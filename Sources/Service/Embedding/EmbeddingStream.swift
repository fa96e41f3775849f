import Encoder
import HTTP1
import JSON
import Safetensors
import SimilarityCore
import Synchronization

/// The vectors of many texts, as an answer that is sent while it is made: each piece of it holds the vectors of a few hundred texts.
///
/// A few pieces are made ahead of the one that is sent, so that all cores have work, and no more, so that a client that reads
/// slowly holds the work up instead of filling the memory. The answer begins with the first piece: what goes wrong before that has
/// the status it should have, and what goes wrong later ends the connection. When the client goes away, what is not done is dropped.
final class EmbeddingStream: Sendable {
  /// Requests of more texts are answered piece by piece.
  static let mostTextsAtOnce = 1024
  private static let textsPerPiece = 256
  /// Each has some ten batches.
  private static let piecesAhead = 3

  /// How a piece is written, and what stands around the pieces.
  protocol Form: Sendable {
    var type: MediaType { get }
    /// Bytes of the whole answer; nil where they are not known before it is made.
    var byteCount: Int? { get }
    /// - Throws: ``Problem``.
    func piece(_ rows: Matrix, isFirst: Bool, isLast: Bool) throws -> [UInt8]
  }

  private struct State {
    /// Pieces that have been begun, and that have been delivered.
    var begun = 0
    var delivered = 0
    /// Pieces that wait to be delivered, by their numbers.
    var made: [Int: [UInt8]] = [:]
    var waiting: BodyStream.Delivery?
    var hasAnswered = false
    var hasFailed = false
  }

  private let count: Int
  private let sequences: @Sendable (Range<Int>) throws -> [TokenSequence]
  private let names: TextNames
  private let shape: VectorShape
  private let form: any Form
  private let texts: TextEncoder
  private let call: Call
  private let state = Mutex(State())

  /// - Parameters:
  ///   - count: the number of texts.
  ///   - names: of the texts.
  ///   - sequences: the token ids of some of them; called on a work queue.
  init(
    _ count: Int, _ names: @escaping TextNames, _ shape: VectorShape, _ form: any Form, texts: TextEncoder,
    for call: Call,
    sequences: @escaping @Sendable (Range<Int>) throws -> [TokenSequence]
  ) {
    self.count = count
    self.sequences = sequences
    self.names = names
    self.shape = shape
    self.form = form
    self.texts = texts
    self.call = call
  }

  private var pieces: Int { (count + Self.textsPerPiece - 1) / Self.textsPerPiece }

  /// Begins the work, and answers the call when the first piece is there.
  func start() { goOn() }

  /// Delivers a piece where one is there and wanted, and begins others.
  private func goOn() {
    let (delivery, begins) = state.withLock { state in
      var delivery: (to: BodyStream.Delivery, piece: [UInt8]?)?
      if let waiting = state.waiting {
        if state.hasFailed {
          delivery = (waiting, nil)
        } else if state.delivered == pieces {
          delivery = (waiting, [])
        } else if let piece = state.made.removeValue(forKey: state.delivered) {
          delivery = (waiting, piece)
          state.delivered += 1
        }
        if delivery != nil { state.waiting = nil }
      }
      let end = state.hasFailed ? state.begun : min(pieces, state.delivered + Self.piecesAhead)
      defer { state.begun = max(state.begun, end) }
      return (delivery, state.begun..<max(state.begun, end))
    }
    delivery?.to(delivery?.piece)
    for piece in begins { texts.lanes.long.submit { self.make(piece) } }
  }

  private func make(_ piece: Int) {
    do {
      try call.requireWaiting()
      let range = piece * Self.textsPerPiece..<min((piece + 1) * Self.textsPerPiece, count)
      let names: TextNames = { self.names(range.lowerBound + $0) }
      texts.encodeAdmitted(try sequences(range), names, shape, for: call) { rows in
        do {
          let bytes = try self.form.piece(
            try rows.get(), isFirst: piece == 0, isLast: piece == self.pieces - 1)
          self.state.withLock { $0.made[piece] = bytes }
          if piece == 0 { self.answer() }
          self.goOn()
        } catch {
          self.fail(error)
        }
      }
    } catch {
      fail(error)
    }
  }

  private func answer() {
    let isFirst = state.withLock { state in
      defer { state.hasAnswered = true }
      return !state.hasAnswered
    }
    guard isFirst else { return }
    let stream = BodyStream(count: form.byteCount) { deliver in
      self.state.withLock { $0.waiting = deliver }
      self.goOn()
    }
    call.answer(
      Response(status: 200, fields: HTTPFields([("Content-Type", form.type.rawValue)]), stream: stream))
  }

  private func fail(_ error: any Error) {
    let hasAnswered = state.withLock { state in
      defer { (state.hasAnswered, state.hasFailed) = (true, true) }
      state.made = [:]
      return state.hasAnswered
    }
    if !hasAnswered { call.perform { throw error } }
    goOn()
  }
}

/// An array of rows in JSON.
struct JSONRows: EmbeddingStream.Form {
  let encoding: VectorEncoding

  var type: MediaType { .json }
  var byteCount: Int? { nil }

  func piece(_ rows: Matrix, isFirst: Bool, isLast: Bool) throws -> [UInt8] {
    var writer = JSONWriter(reserving: rows.values.count * 13 + 64)
    writer.beginArray()
    for index in 0..<rows.rows { writer.row(index, of: rows, encoding) }
    writer.endArray()
    guard !writer.sawNonFinite else { throw Problem.internalError }
    var bytes = writer.bytes
    // The brackets stand at the ends of the whole, and a comma between the pieces.
    if !isFirst { bytes[0] = UInt8(ascii: ",") }
    if !isLast { bytes.removeLast() }
    return bytes
  }
}

/// The tensor `embeddings` of a safetensors body.
struct SafetensorsRows: EmbeddingStream.Form {
  private let head: [UInt8]
  private let size: Int

  init(rows: Int, columns: Int) {
    size = rows * columns * MemoryLayout<Float>.stride
    head = SafetensorsHead.bytes(
      of: [(name: "embeddings", dtype: .f32, shape: [rows, columns], count: size)], metadata: [:])
  }

  var type: MediaType { .safetensors }
  var byteCount: Int? { head.count + size }

  func piece(_ rows: Matrix, isFirst: Bool, isLast: Bool) throws -> [UInt8] {
    // Both of the supported processors are little-endian.
    rows.values.withUnsafeBytes { isFirst ? head + $0 : Array($0) }
  }
}
