/// The lines of a file, one after another, in bounded memory.
struct LineReader {
  struct Line {
    let bytes: [UInt8]
    /// Counted from 1.
    let number: Int
    /// Where the next line begins.
    let end: InputPlace
  }

  private static let longest = 64 << 20

  private let file: SystemFile
  private var buffer: [UInt8] = []
  private var start = 0
  private(set) var place = InputPlace()

  init(_ file: SystemFile) { self.file = file }

  /// The next line without its end; nil behind the last one.
  mutating func next() throws(CommandError) -> Line? {
    var bytes: [UInt8] = []
    var isComplete = false
    while !isComplete {
      if start == buffer.count {
        buffer = try file.read(most: 1 << 20)
        start = 0
        guard !buffer.isEmpty else { break }
      }
      let rest = buffer[start...]
      let end = rest.firstIndex(of: 0x0A)
      let piece = rest[..<(end ?? rest.endIndex)]
      guard bytes.count + piece.count <= Self.longest else {
        throw CommandError("\(file.path): line \(place.lines + 1) has more than \(Self.longest) bytes")
      }
      bytes += piece
      let next = end.map { $0 + 1 } ?? rest.endIndex
      place.pass(buffer[start..<next])
      start = next
      isComplete = end != nil
    }
    guard isComplete || !bytes.isEmpty else { return nil }
    place.lines += 1
    return Line(bytes: bytes, number: place.lines, end: place)
  }

  /// Reads past everything up to `offset`; false when the file ends before that.
  mutating func skip(to offset: Int, lines: Int) throws(CommandError) -> Bool {
    while place.offset < offset {
      if start == buffer.count {
        buffer = try file.read(most: 1 << 20)
        start = 0
        guard !buffer.isEmpty else { return false }
      }
      let count = min(offset - place.offset, buffer.count - start)
      place.pass(buffer[start..<(start + count)])
      start += count
    }
    place.lines = lines
    return true
  }
}

/// A place between two lines of an input, and what stands before it.
struct InputPlace: Equatable {
  var offset = 0
  var lines = 0
  /// FNV-1a of all bytes before the place: the same input begins with the same bytes.
  private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325

  mutating func pass(_ bytes: ArraySlice<UInt8>) {
    var hash = hash
    bytes.withUnsafeBufferPointer { for byte in $0 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 } }
    self.hash = hash
    offset += bytes.count
  }
}
