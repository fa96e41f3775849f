import Safetensors

/// Bytes read as safetensors. Where they begin with `{`, the part up to the divider is the header, whose length is put before it,
/// so that the fuzzer can change a header without having to guess its length.
enum SafetensorsTarget {
  static func run(_ input: [UInt8]) {
    guard let archive = try? SafetensorsArchive(file(input)) else { return }
    var writer = SafetensorsWriter()
    for name in archive.names {
      guard let view = archive.tensor(name) else { finding("the tensor \(name) is listed, but not there") }
      let elements = view.shape.reduce(1) { $0 &* $1 }
      require(view.count == elements && view.bytes.count == elements &* view.dtype.size, "\(name): \(view.shape)")
      // Every byte is read, so that AddressSanitizer sees a range that is too long.
      _ = view.bytes.reduce(0 as UInt8) { $0 ^ $1 }
      if let floats = try? view.floats() {
        require(floats.count == view.count, "\(name) has \(floats.count) floats")
      } else {
        require(![.f32, .f16, .bf16].contains(view.dtype), "\(name) cannot be read")
      }
      do {
        try writer.add(name: name, dtype: view.dtype, shape: view.shape, bytes: view.bytes)
      } catch {
        finding("a tensor that was read cannot be written: \(error.message)")
      }
    }
    checkCopy(of: archive, writer.serialize(metadata: archive.metadata))
  }

  /// What was read, written again, must be read as the same.
  private static func checkCopy(of archive: SafetensorsArchive, _ bytes: [UInt8]) {
    let copy: SafetensorsArchive
    do { copy = try SafetensorsArchive(bytes) } catch { finding("what was written cannot be read: \(error.message)") }
    require(Set(copy.names) == Set(archive.names) && copy.metadata == archive.metadata, "the copy has other names")
    for name in archive.names {
      guard let first = archive.tensor(name), let second = copy.tensor(name) else { finding("\(name) is missing") }
      require(
        first.dtype == second.dtype && first.shape == second.shape && first.bytes.elementsEqual(second.bytes),
        "the copy of \(name) differs")
    }
  }

  /// The file that an input stands for.
  static func file(_ input: [UInt8]) -> [UInt8] {
    guard input.first == 0x7B else { return input }
    var parts = Parts(input)
    let header = parts.next()
    return withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header + parts.next()
  }
}
