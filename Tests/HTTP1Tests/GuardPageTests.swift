import HTTP1
import Platform
import Testing

/// Input that ends right before a protected page, so that reading one byte too many ends the process.
@Suite("Guard page")
struct GuardPageTests {
  private static let pageSize = 16_384

  /// Calls `body` with a copy of `bytes` that ends right before a page that cannot be read.
  private func atTheEdge<Result>(_ bytes: ArraySlice<UInt8>, _ body: (Span<UInt8>) -> Result) throws -> Result {
    let size = Self.pageSize
    let map = mmap(nil, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    let base = try #require(map != MAP_FAILED ? map : nil)
    defer { munmap(base, 2 * size) }
    try #require(mprotect(base + size, size, PROT_NONE) == 0)
    let buffer = UnsafeMutableRawBufferPointer(start: base + size - bytes.count, count: bytes.count)
    buffer.copyBytes(from: bytes)
    return body(UnsafeRawBufferPointer(buffer).bindMemory(to: UInt8.self).span)
  }

  private func verdict(_ progress: RequestParser.Progress) -> String {
    switch progress {
    case .partial: "partial"
    case .bad(let failure): "bad \(failure.status)"
    case .consumed(let parsed): "consumed \(parsed.byteCount)"
    }
  }

  @Test("The head parser reads nothing beyond any prefix of any case")
  func heads() throws {
    for example in RawCase.all {
      // Long cases are filled up with repeated bytes, so their first 220 bytes are enough.
      for count in 0...min(example.raw.count, 220) {
        let prefix = example.raw[..<count]
        let inHeap = Array(prefix)
        var parser = RequestParser(maxHeadBytes: 1024, maxFields: 8)
        let expected = verdict(parser.parse(inHeap.span))
        let found = try atTheEdge(prefix) { input in
          var parser = RequestParser(maxHeadBytes: 1024, maxFields: 8)
          return verdict(parser.parse(input))
        }
        #expect(found == expected, "\(example.name), \(count) bytes")
      }
    }
  }

  @Test("The body decoder reads nothing beyond any prefix of a chunked body")
  func bodies() throws {
    let raw = Array("3;a=\"b\"\r\nabc\r\n0a\r\n0123456789\r\n0;z\r\nA: b\r\n\r\n".utf8)
    for count in 0...raw.count {
      let (progress, body) = try atTheEdge(raw[..<count]) { input in
        var body: [UInt8] = []
        var decoder = try? BodyDecoder(.chunked, limit: 100)
        return (decoder?.decode(input, into: &body), body)
      }
      #expect(progress == (count == raw.count ? .consumed(count) : .partial))
      #expect("abc0123456789".utf8.starts(with: body))
    }
  }
}
