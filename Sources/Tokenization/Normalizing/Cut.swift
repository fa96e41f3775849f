/// Where a long text may be cut into pieces: before a space between two ASCII letters or digits.
enum Cut {
  static let letters: [UInt8] = Array("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
  static let characters: [UInt8] = letters + [0x20]
  /// What the space of a cut may become.
  static let spaces: Set<UInt32> = [0x20, 0x2581]

  static func isLetter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: false
    }
  }

  /// Whether a string has the two sides of a cut in it.
  static func isWithin(_ bytes: some Collection<UInt8>) -> Bool {
    var isLetter = false
    for byte in bytes {
      if isLetter && (byte == 0x20 || byte == 0xE2) { return true }
      isLetter = Self.isLetter(byte)
    }
    return false
  }
}

extension Normalizer {
  /// Whether a text may be cut before a space between two ASCII letters or digits, and the parts be changed on their
  /// own. The space must become a space or `▁`.
  var keepsCuts: Bool {
    steps.allSatisfy { step in
      switch step {
      case .bert, .form, .lowercase, .stripAccents, .strip, .nmt: true
      case .replace(let replacement): replacement.keepsCuts
      case .prepend: true
      case .precompiled(let table): Cut.characters.allSatisfy(table.keeps)
      case .byteLevel: false
      }
    }
  }

  /// What the space of a cut may have become at the end, where ``keepsCuts`` holds.
  var cutSpaces: Set<UInt32> {
    var spaces: Set<UInt32> = [0x20]
    for step in steps {
      switch step {
      case .replace(let replacement):
        guard let content = replacement.spaceContent else { break }
        if replacement.replacesEverySpace { spaces.remove(0x20) }
        spaces.insert(content)
      case .precompiled, .nmt: spaces.insert(0x20)
      default: break
      }
    }
    return spaces
  }
}
