import CZlib

/// The gzip content coding (RFC 1952; RFC 9110, 8.4.1.3), by zlib.
public enum Gzip {
  /// Why bytes cannot be inflated.
  public enum Failure: Error, Sendable, Equatable {
    /// They are not gzip, or damaged, or something follows them.
    case corrupt
    /// They end in the middle.
    case cutOff
    /// They become more than `limit` bytes.
    case tooLarge(limit: Int)
    /// They become more than `ratio` times their size: made to use up memory, not to save bytes.
    case tooDense(ratio: Int)
    case outOfMemory
  }

  /// What inflating may cost.
  public struct Limits: Sendable {
    /// Bytes that the content may have.
    public var bytes: Int
    /// Times that the content may be as large as its coded form, which deflate could make 1,032 times smaller. Text shrinks to a
    /// tenth, lists of like points to a twentieth; more is repetition.
    public var ratio = 200
    /// Content up to this size may have any ratio: it costs a hundredth of a second, and test data does repeat itself.
    public var smallBytes = 8 << 20

    public init(bytes: Int) { self.bytes = bytes }
  }

  /// Content is inflated so many bytes at a time, and checked in between.
  private static let piece = 1 << 18

  /// The content of one or several members (RFC 1952, 2.2).
  ///
  /// The memory that it takes grows with what has been inflated, to twice the limit at most, whatever the coded form promises.
  ///
  /// - Throws: ``Failure``; no more than the limits and one piece of 256 KiB were inflated then.
  public static func inflate(_ coded: [UInt8], _ limits: Limits) throws(Failure) -> [UInt8] {
    let most = max(0, limits.bytes)
    let usual = min(most, Self.usualRatio * min(coded.count, most))
    let stated = min(most, statedLength(coded))
    var isMeasured = stated > usual
    var content: [UInt8] = []
    content.reserveCapacity(isMeasured ? try measure(coded, limits) : stated)
    try pieces(coded, limits) { (piece, count) throws(Failure) in
      if count > content.capacity {
        // The stated length was a lie. An array alone would double its room beyond the limit.
        var room = min(most, max(count, 2 * content.capacity))
        if count > usual, !isMeasured {
          isMeasured = true
          room = try measure(coded, limits)
        }
        content.reserveCapacity(room)
      }
      content.append(contentsOf: piece)
    }
    return content
  }

  /// The length of the content, found without keeping it. What shrinks unusually well is measured first, so that a bomb takes no memory.
  private static func measure(_ coded: [UInt8], _ limits: Limits) throws(Failure) -> Int {
    var count = 0
    try pieces(coded, limits) { (_, upToHere) throws(Failure) in count = upToHere }
    return count
  }

  /// JSON seldom shrinks to less than a part of so many.
  private static let usualRatio = 16

  /// Lends the content piece by piece, each with the number of bytes up to its end, which are within the limits.
  private static func pieces(
    _ coded: [UInt8], _ limits: Limits, _ use: (ArraySlice<UInt8>, Int) throws(Failure) -> Void
  ) throws(Failure) {
    guard let inflater = nf_inflater_new() else { throw .outOfMemory }
    defer { nf_inflater_free(inflater) }
    let most = max(0, limits.bytes)
    var block = [UInt8](repeating: 0, count: min(Self.piece, max(4096, usualRatio * min(coded.count, Self.piece))))
    var (at, count) = (0, 0)
    while true {
      var (used, made) = (0, 0)
      // SAFETY: both pointers are valid for the counts that are passed with them; `at` is at most the count.
      let result = coded.withUnsafeBufferPointer { coded in
        block.withUnsafeMutableBufferPointer { block in
          nf_inflater_run(
            inflater, coded.baseAddress.map { $0 + at }, coded.count - at, &used, block.baseAddress, block.count, &made)
        }
      }
      at += used
      guard made <= most - count else { throw .tooLarge(limit: most) }
      count += made
      if count > limits.smallBytes, count / max(1, limits.ratio) > at { throw .tooDense(ratio: limits.ratio) }
      if made > 0 { try use(block[..<made], count) }
      switch result {
      case Int32(NF_ZLIB_END):
        guard at < coded.count else { return }
        guard nf_inflater_reset(inflater) != 0 else { throw .outOfMemory }
      case Int32(NF_ZLIB_MORE):
        guard used > 0 || made > 0 else { throw .cutOff }
      case Int32(NF_ZLIB_NO_MEMORY): throw .outOfMemory
      default: throw .corrupt
      }
    }
  }

  /// The length, modulo 4 GiB, that the end of the last member states: most often the content's.
  private static func statedLength(_ coded: [UInt8]) -> Int {
    guard coded.count >= 18 else { return 0 }
    return coded.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// One member with `content`.
  ///
  /// - Parameter level: from 1, the fastest, to 9.
  /// - Returns: nil when there is no memory for it.
  public static func deflate(_ content: [UInt8], level: Int = 1) -> [UInt8]? {
    guard let deflater = nf_deflater_new(Int32(clamping: level)) else { return nil }
    defer { nf_deflater_free(deflater) }
    var isDone = false
    let coded = [UInt8](unsafeUninitializedCapacity: nf_deflater_bound(deflater, content.count)) { room, filled in
      content.withUnsafeBufferPointer { content in
        var at = 0
        while !isDone {
          var (used, made) = (0, 0)
          // SAFETY: both pointers are valid for the counts that are passed with them.
          let result = nf_deflater_run(
            deflater, content.baseAddress.map { $0 + at }, content.count - at, &used,
            room.baseAddress.map { $0 + filled }, room.count - filled, &made, 1)
          at += used
          filled += made
          isDone = result == Int32(NF_ZLIB_END)
          guard result == Int32(NF_ZLIB_MORE), used > 0 || made > 0 else { return }
        }
      }
    }
    return isDone ? coded : nil
  }
}
