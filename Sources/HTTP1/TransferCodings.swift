/// The list of a Transfer-Encoding field (RFC 9112, 6.1 and 7). Only `chunked`, once and alone, is served.
struct TransferCodings {
  private var chunked = 0
  private var others = 0
  private var endsInChunked = false

  /// Takes one field line's value.
  mutating func read(_ value: ArraySlice<UInt8>) throws(RequestFailure) {
    for element in value.split(separator: ASCII.comma, omittingEmptySubsequences: false) {
      let coding = element.trimmed
      // Empty elements and parameters are legal somewhere in the grammar and used by nobody but smugglers.
      guard !coding.isEmpty, coding.allSatisfy(ByteSet.token.contains) else {
        throw .bad("Transfer-Encoding is not a list of coding names")
      }
      endsInChunked = coding.equals("chunked")
      if endsInChunked { chunked += 1 } else { others += 1 }
    }
  }

  /// 400 when the body's end cannot be found, 501 when it could but a coding is unknown.
  func requireChunkedAlone() throws(RequestFailure) {
    guard chunked <= 1, chunked == 0 || endsInChunked else {
      throw .bad("chunked is not the last transfer coding, or not the only one")
    }
    guard others == 0 else { throw RequestFailure(status: 501, reason: "only the chunked transfer coding is known") }
  }
}
