import JSON

/// The section `normalizer` of tokenizer.json: steps that change a text one after another before it is split.
struct Normalizer: Sendable {
  enum Step: Sendable {
    case bert(BertNormalizer)
    case form(NormalizationForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case replace(Replacement)
    case prepend([UInt8])
    case nmt
    case precompiled(Precompiled)
    case byteLevel
  }

  var steps: [Step] = []
  /// How many times longer a text may become, at most.
  private var growth = 1

  /// Changes a segment of a text.
  ///
  /// A long segment comes in several pieces, cut where ``keepsCuts`` allows.
  /// - Parameters:
  ///   - isFirst: whether the piece is the first of its segment.
  ///   - isLast: whether it is the last.
  func apply(to text: consuming AlignedText, isFirst: Bool = true, isLast: Bool = true) -> AlignedText {
    for step in steps { text = Self.apply(step, consume text, isFirst, isLast) }
    return text
  }

  private static func apply(
    _ step: Step, _ text: consuming AlignedText, _ isFirst: Bool, _ isLast: Bool
  ) -> AlignedText {
    switch step {
    case .bert(let normalizer): return normalizer.apply(to: text)
    case .form(let form): return form.apply(to: text)
    case .lowercase: return lowercase(text)
    case .stripAccents:
      if text.isASCII { return text }
      let forms = UnicodeForms.shared
      return text.mapping { forms.flags(of: $0).contains(.accent) ? .removed : .kept }
    case .strip(let left, let right): return strip(text, left: left && isFirst, right: right && isLast)
    case .replace(let replacement): return replacement.apply(to: text)
    case .prepend(let bytes):
      guard isFirst, !text.bytes.isEmpty, !bytes.isEmpty else { return text }
      var result = AlignedText(rewriting: text)
      result.append(bytes: bytes, text.span(at: 0))
      result.append(text, 0..<text.bytes.count)
      return result
    case .nmt: return text.mapping(nmt)
    case .precompiled(let table): return table.apply(to: text)
    case .byteLevel: return ByteAlphabet.spell(text)
    }
  }

  static func lowercase(_ text: consuming AlignedText) -> AlignedText {
    text.lowercaseASCII()
    if text.isASCII { return text }
    let unicode = UnicodeTables.shared
    return text.mapping { scalar in
      if scalar < 0x80 { return .kept }
      let lowercase = unicode.storedLowercase(scalar)
      return lowercase.isEmpty ? .kept : .scalars(lowercase)
    }
  }

  private static func strip(_ text: consuming AlignedText, left: Bool, right: Bool) -> AlignedText {
    let kept = text.bytes.withUnsafeBufferPointer { bytes in
      let unicode = UnicodeTables.shared
      var start = 0
      var stop = bytes.count
      while left, start < bytes.count {
        let (scalar, length) = UTF8Scalars.scalar(in: bytes, at: start)
        if !unicode.properties(of: scalar).contains(.space) { break }
        start += length
      }
      while right, stop > start, let (scalar, length) = UTF8Scalars.scalar(in: bytes, before: stop) {
        if !unicode.properties(of: scalar).contains(.space) { break }
        stop -= length
      }
      return start..<stop
    }
    text.keep(kept)
    return text
  }

  /// What SentencePiece's `nmt` rule removes or makes a space.
  private static func nmt(_ scalar: UInt32) -> AlignedText.Change {
    switch scalar {
    case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: .removed
    case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: .scalar(0x20)
    default: .kept
    }
  }
}

extension BertNormalizer {
  /// Changes a text whose words are split by other means than ``Scan``.
  func apply(to text: consuming AlignedText) -> AlignedText {
    let unicode = UnicodeTables.shared
    if cleansText || splitsChinese {
      text = text.mapping { scalar in
        let properties = unicode.properties(of: scalar)
        if properties.isEmpty || scalar == 0x20 { return .kept }
        if cleansText {
          if properties.contains(.removed) { return .removed }
          if properties.contains(.space) { return .scalar(0x20) }
        }
        return splitsChinese && properties.contains(.chinese) ? .setApart : .kept
      }
    }
    if stripsAccents, !text.isASCII {
      text = NormalizationForm.nfd.apply(to: text).mapping {
        unicode.properties(of: $0).contains(.mark) ? .removed : .kept
      }
    }
    return lowercases ? Normalizer.lowercase(text) : text
  }
}

extension Normalizer {
  private mutating func multiply(by factor: Int) {
    let (product, overflow) = growth.multipliedReportingOverflow(by: max(1, factor))
    growth = overflow ? .max : product
  }

  private static let types = [
    "BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Prepend",
    "Replace", "Sequence", "Strip", "StripAccents",
  ]

  /// The section `normalizer`, which may be missing.
  init(_ section: JSONField?) throws(FieldError) {
    if let section { try add(section, depth: 0) }
  }

  private mutating func add(_ section: JSONField, depth: Int) throws(FieldError) {
    switch try section.required("type").string(oneOf: Self.types) {
    case "Sequence":
      guard depth < 8 else { throw section.refused("is a sequence nested more than 8 deep") }
      for step in try section.required("normalizers").elements() { try add(step, depth: depth + 1) }
      return
    case "BertNormalizer": steps.append(.bert(try BertNormalizer(section)))
    case "NFC": steps.append(.form(.nfc))
    case "NFD": steps.append(.form(.nfd))
    case "NFKC": steps.append(.form(.nfkc))
    case "NFKD": steps.append(.form(.nfkd))
    case "Lowercase": steps.append(.lowercase)
    case "StripAccents": steps.append(.stripAccents)
    case "Strip":
      let left = try section.required("strip_left").bool()
      steps.append(.strip(left: left, right: try section.required("strip_right").bool()))
    case "Replace":
      let replacement = try Replacement(section)
      steps.append(.replace(replacement))
      multiply(by: replacement.growth)
    case "Prepend":
      let bytes = Array(try section.required("prepend").string().utf8)
      steps.append(.prepend(bytes))
      multiply(by: bytes.count + 1)
    case "Nmt": steps.append(.nmt)
    case "Precompiled":
      let table = try Precompiled(section)
      steps.append(.precompiled(table))
      multiply(by: table.longest)
    default:
      steps.append(.byteLevel)
      multiply(by: 2)
    }
    guard steps.count <= 64 else { throw section.refused("has more than 64 steps") }
    guard growth <= 20_000 else { throw section.refused("could make a text more than 20000 times longer") }
  }
}
