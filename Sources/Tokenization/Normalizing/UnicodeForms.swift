/// What a general normaliser needs to know beyond ``UnicodeTables``: compatibility decompositions, composition, marks,
/// numerals and the classes of grapheme clusters. The tables are decoded only when a tokenizer asks for one of them.
struct UnicodeForms: Sendable {
  struct Flags: OptionSet {
    let rawValue: UInt16
    /// A mark of any kind, which `StripAccents` removes.
    static let accent = Flags(rawValue: 1)
    /// A numeral, which `Digits` sets apart.
    static let numeric = Flags(rawValue: 2)
    /// Does not begin a grapheme cluster.
    static let extending = Flags(rawValue: 4)
    /// Does not end a grapheme cluster.
    static let prepended = Flags(rawValue: 8)
    /// A grapheme cluster of its own.
    static let control = Flags(rawValue: 16)
    /// A compatibility decomposition that is not the canonical one.
    static let compatible = Flags(rawValue: 32)
    /// May be changed by, or take part in, the normalisation form of that name.
    static let unsafeInNFD = Flags(rawValue: 64)
    static let unsafeInNFKD = Flags(rawValue: 128)
    static let unsafeInNFC = Flags(rawValue: 256)
    static let unsafeInNFKC = Flags(rawValue: 512)
    static let unsafe: Flags = [.unsafeInNFD, .unsafeInNFKD, .unsafeInNFC, .unsafeInNFKC]
  }

  static let shared = UnicodeForms()

  private let flags: [UInt16]
  private let compatibility: ScalarMap
  /// Two scalars, the first in the upper half, and the scalar that they compose to.
  private let compositions: [UInt64: UInt32]

  private init() {
    var flags = [UInt16](repeating: 0, count: UnicodeTables.codePoints)
    func mark(_ text: StaticString, _ flag: Flags) {
      var reader = UnicodeReader(text)
      reader.ranges { range, _ in for code in range where code < flags.count { flags[code] |= flag.rawValue } }
    }
    mark(UnicodeData.accents, .accent)
    mark(UnicodeData.numeric, .numeric)
    mark(UnicodeData.extending, .extending)
    mark(UnicodeData.prepended, .prepended)
    mark(UnicodeData.controls, .control)
    var compatibility = ScalarMap()
    var reader = UnicodeReader(UnicodeData.compatibility)
    reader.mappings { code, result in
      compatibility[UInt32(truncatingIfNeeded: code)] = result[...]
      flags[code] |= (Flags.compatible.union(.unsafeInNFKD).union(.unsafeInNFKC)).rawValue
    }
    var excluded: Set<Int> = []
    reader = UnicodeReader(UnicodeData.excluded)
    reader.ranges { range, _ in
      excluded.formUnion(range)
      for code in range { flags[code] |= (Flags.unsafeInNFC.union(.unsafeInNFKC)).rawValue }
    }
    let unicode = UnicodeTables.shared
    var composable: [(code: UInt32, parts: [UInt32])] = []
    for code in 0..<UnicodeTables.codePoints {
      let scalar = UInt32(truncatingIfNeeded: code)
      let properties = unicode.properties(of: scalar)
      if properties.contains(.combining) { flags[code] |= Flags.unsafe.rawValue }
      guard properties.contains(.decomposes) || UnicodeTables.hangul.contains(scalar) else { continue }
      flags[code] |= (Flags.unsafeInNFD.union(.unsafeInNFKD)).rawValue
      if properties.contains(.decomposes) && !excluded.contains(code) {
        composable.append((scalar, unicode.decomposition(of: scalar)))
      }
    }
    // A scalar that decomposes into three is composed of one that decomposes into two, and the third.
    composable.sort { $0.parts.count < $1.parts.count }
    var compositions: [UInt64: UInt32] = [:]
    for (code, parts) in composable {
      guard let last = parts.last, var first = parts.first, parts.count > 1 else { continue }
      for part in parts.dropFirst().dropLast() { first = compositions[UInt64(first) << 32 | UInt64(part)] ?? 0 }
      compositions[UInt64(first) << 32 | UInt64(last)] = code
      flags[Int(last)] |= (Flags.unsafeInNFC.union(.unsafeInNFKC)).rawValue
    }
    for code in Array(0x1161...0x1175) + Array(0x11A8...0x11C2) {
      flags[code] |= (Flags.unsafeInNFC.union(.unsafeInNFKC)).rawValue
    }
    self.flags = flags
    self.compatibility = compatibility
    self.compositions = compositions
  }

  @inline(__always)
  func flags(of scalar: UInt32) -> Flags {
    scalar < UnicodeTables.codePoints ? Flags(rawValue: flags[Int(scalar)]) : []
  }

  /// Calls `body` with each scalar of the full decomposition, before canonical ordering.
  @inline(__always)
  func decompose(_ scalar: UInt32, isCompatible: Bool, _ body: (_ part: UInt32, _ isFirst: Bool) -> Void) {
    let unicode = UnicodeTables.shared
    if UnicodeTables.hangul.contains(scalar) {
      for (index, part) in UnicodeTables.jamo(of: scalar).enumerated() { body(part, index == 0) }
      return
    }
    let isMapped = isCompatible && flags(of: scalar).contains(.compatible)
    let parts = isMapped ? compatibility[scalar] : unicode.storedDecomposition(of: scalar)
    if parts.isEmpty { return body(scalar, true) }
    for index in parts.indices { body(parts[index], index == parts.startIndex) }
  }

  /// The scalar that two compose to; nil when they do not (Unicode Standard, sections 3.11 and 3.12).
  func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if UnicodeTables.hangul.contains(first), (first - 0xAC00) % 28 == 0, (0x11A8...0x11C2).contains(second) {
      return first + second - 0x11A7
    }
    return compositions[UInt64(first) << 32 | UInt64(second)]
  }
}
