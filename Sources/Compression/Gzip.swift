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
    /// Times that the content may be as large as its coded form. Text rarely shrinks to a tenth, and even a vector of zeros,
    /// written as JSON, to no less than a hundredth.
    public var ratio = 200
    /// Content up to this size may have any ratio.
    public var smallBytes = 1 << 20

    public init(bytes: Int) { self.bytes = bytes }
  }

  /// Content is inflated so many bytes at a time, and checked in between: a bomb costs no more than the limit.
  private static let piece = 1 << 18

  /// The content of one or several members.
  ///
  /// - Throws: ``Failure``; at most ``Limits/bytes`` bytes were inflated then.
  public static func inflate(_ coded: [UInt8], _ limits: Limits) throws(Failure) -> [UInt8] {
    guard let inflater = nf_inflater_new() else { throw .outOfMemory }
    defer { nf_inflater_free(inflater) }
    var content: [UInt8] = []
    content.reserveCapacity(min(limits.bytes, max(4 * min(coded.count, limits.bytes), piece)))
    var block = [UInt8](repeating: 0, count: piece)
    var at = 0
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
      guard made <= limits.bytes - content.count else { throw .tooLarge(limit: limits.bytes) }
      content.append(contentsOf: block[..<made])
      if content.count > limits.smallBytes, content.count / limits.ratio > at { throw .tooDense(ratio: limits.ratio) }
      switch result {
      case Int32(NF_ZLIB_END):
        guard at < coded.count else { return content }
        // Members may follow one another (RFC 1952, 2.2).
        guard nf_inflater_reset(inflater) != 0 else { throw .outOfMemory }
      case Int32(NF_ZLIB_MORE):
        guard used > 0 || made > 0 else { throw .cutOff }
      case Int32(NF_ZLIB_NO_MEMORY): throw .outOfMemory
      default: throw .corrupt
      }
    }
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
