import JSON

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

  /// The next line without its line break, and the first without a byte order mark; nil after the last one.
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
    if place.lines == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    return Line(bytes: bytes, number: place.lines, end: place)
  }

  /// Skips everything before `offset`.
  ///
  /// - Returns: false when the file ends before that.
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

/// A place between two lines of an input, with a hash of what stands before it.
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

/// How far an input has been worked on, kept in a small file, from which an interrupted run continues.
struct InputProgress: Equatable {
  /// Tells runs with other options apart.
  let identity: String
  /// Bytes of the input that are done with.
  let offset: Int
  /// Lines of the input that are done with.
  let lines: Int
  /// The hash of the input before `offset`, in hexadecimal.
  let hash: String
  /// What there was of the output then: the collection's version, or the rows of the file.
  let output: Int

  init(identity: String, _ place: InputPlace, output: Int) {
    self.identity = identity
    offset = place.offset
    lines = place.lines
    hash = String(place.hash, radix: 16)
    self.output = output
  }

  static func path(of input: String) -> String { input + ".nearfar-progress" }

  /// - Returns: nil when there is no such file or it cannot be read: the run starts over then, which is harmless.
  static func load(_ path: String) -> InputProgress? {
    guard let file = try? SystemFile.reading(path), let bytes = try? file.read(most: 65_536),
      let root = try? JSONDocument(bytes).root,
      let identity = root["identity"]?.string, let offset = root["offset"]?.integer, offset >= 0,
      let lines = root["lines"]?.integer, (0...offset).contains(lines), let hash = root["hash"]?.string,
      let output = root["version"]?.integer
    else { return nil }
    return InputProgress(identity: identity, offset: offset, lines: lines, hash: hash, output: output)
  }

  private init(identity: String, offset: Int, lines: Int, hash: String, output: Int) {
    self.identity = identity
    self.offset = offset
    self.lines = lines
    self.hash = hash
    self.output = output
  }

  /// Replaces the file in one step: a reader finds the old content or the new.
  func save(_ path: String) throws(CommandError) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("identity")
    writer.string(identity)
    writer.key("offset")
    writer.integer(offset)
    writer.key("lines")
    writer.integer(lines)
    writer.key("hash")
    writer.string(hash)
    writer.key("version")
    writer.integer(output)
    writer.endObject()
    let file = try SystemFile.writing(path + ".new")
    try file.write((writer.bytes + [0x0A])[...])
    try file.publish(as: path)
  }

  /// Whether the input still begins with what was done with.
  func matches(_ place: InputPlace) -> Bool { place.offset == offset && String(place.hash, radix: 16) == hash }
}
