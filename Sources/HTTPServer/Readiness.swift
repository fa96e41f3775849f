/// What the kernel reports of one descriptor.
struct Readiness {
  /// As given when the descriptor was added.
  var token: UInt64
  /// Bytes, an end or an error can be read.
  var isReadable: Bool
  var isWritable: Bool
  /// The peer ended its side; it may still read.
  var isEnded: Bool
  /// Reset, failed, or ended on both sides.
  var isGone: Bool
}
