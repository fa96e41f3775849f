import Testing

/// Cases with a few bytes changed, removed, doubled or moved. The right answer to such input is not known, but it must
/// not depend on how the bytes are split into reads.
@Suite("Damaged input")
struct DamagedInputTests {
  /// A generator with a fixed seed, so that every run tests the same damage.
  private struct Dice {
    var state: UInt64

    mutating func roll(_ sides: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(truncatingIfNeeded: (state >> 33) % UInt64(max(1, sides)))
    }
  }

  /// Bytes with a meaning somewhere in HTTP.
  private static let loaded = Array("\r\n\t \0:;,=\"\\/%?*@[]09afGHX\u{7f}".utf8) + [0x80, 0xff]

  private func damaged(_ raw: [UInt8], _ dice: inout Dice) -> [UInt8] {
    var bytes = raw
    for _ in 0...dice.roll(3) where !bytes.isEmpty {
      let place = dice.roll(bytes.count)
      switch dice.roll(5) {
      case 0: bytes.remove(at: place)
      case 1: bytes.insert(bytes[place], at: place)
      case 2: bytes.swapAt(place, dice.roll(bytes.count))
      case 3: bytes.insert(Self.loaded[dice.roll(Self.loaded.count)], at: place)
      default: bytes[place] = Self.loaded[dice.roll(Self.loaded.count)]
      }
    }
    return bytes
  }

  private func outcome(_ script: Script) -> String {
    "\(script.statuses) \(script.requests) \(script.hasFinished) \(script.isClosed)"
  }

  @Test("The outcome does not depend on how the bytes are split", arguments: 0..<8)
  func cuts(_ seed: Int) {
    var dice = Dice(state: UInt64(seed))
    let short = RawCase.all.filter { $0.raw.count < 400 }
    for example in short {
      for _ in 0..<8 {
        let bytes = damaged(example.raw, &dice)
        let whole = Script()
        whole.feed(bytes)
        let single = Script()
        for byte in bytes { single.feed([byte]) }
        let random = Script()
        var start = 0
        while start < bytes.count {
          let end = min(bytes.count, start + 1 + dice.roll(40))
          random.feed(bytes[start..<end])
          start = end
        }
        #expect(outcome(single) == outcome(whole), "\(example.name): \(String(decoding: bytes, as: UTF8.self))")
        #expect(outcome(random) == outcome(whole), "\(example.name): \(String(decoding: bytes, as: UTF8.self))")
      }
    }
  }
}
