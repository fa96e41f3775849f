/// The normalisation forms of Unicode Standard Annex 15, with the places that the reference gives to scalars that move,
/// come apart or become one.
struct NormalizationForm: Sendable, Equatable {
  let composes: Bool
  let isCompatible: Bool

  static let nfc = NormalizationForm(composes: true, isCompatible: false)
  static let nfd = NormalizationForm(composes: false, isCompatible: false)
  static let nfkc = NormalizationForm(composes: true, isCompatible: true)
  static let nfkd = NormalizationForm(composes: false, isCompatible: true)

  private var unsafe: UnicodeForms.Flags {
    if composes { return isCompatible ? .unsafeInNFKC : .unsafeInNFC }
    return isCompatible ? .unsafeInNFKD : .unsafeInNFD
  }

  /// A scalar that is not marked unsafe begins a stretch that does not depend on what stands before it. Only stretches
  /// with an unsafe scalar are worked on; the rest is copied.
  func apply(to text: AlignedText) -> AlignedText {
    if text.isASCII { return text }
    let forms = UnicodeForms.shared
    let unsafe = unsafe
    var rewriter = TextRewriter(text)
    var copied = 0
    var isChanged = false
    var parts: [Part] = []
    text.bytes.withUnsafeBufferPointer { bytes in
      var position = 0
      // The start of the last scalar that was safe.
      var base = 0
      while position < bytes.count {
        if bytes[position] < 0x80 {
          base = position
          position &+= 1
          continue
        }
        let (scalar, length) = UTF8Scalars.scalar(in: bytes, at: position)
        if forms.flags(of: scalar).isDisjoint(with: unsafe) {
          base = position
          position &+= length
          continue
        }
        // What decomposes without being able to take part in a composition needs no scalar before it, but costs none
        // either.
        let start = base
        var stop = position &+ length
        while stop < bytes.count {
          let (next, length) = UTF8Scalars.scalar(in: bytes, at: stop)
          if forms.flags(of: next).isDisjoint(with: unsafe) { break }
          stop &+= length
        }
        isChanged = true
        rewriter.copy(copied..<start)
        rewrite(bytes, start..<stop, &parts, &rewriter)
        copied = stop
        position = stop
        base = stop
      }
      rewriter.copy(copied..<bytes.count)
    }
    return isChanged ? rewriter.result : text
  }

  private struct Part {
    var item: TextChange
    var combiningClass: UInt8
  }

  /// Rewrites a stretch. `parts` is room that is kept from one to the next.
  private func rewrite(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ parts: inout [Part], _ rewriter: inout TextRewriter
  ) {
    let unicode = UnicodeTables.shared
    let forms = UnicodeForms.shared
    parts.removeAll(keepingCapacity: true)
    // The first part that canonical ordering may still move.
    var pending = 0
    var position = range.lowerBound
    while position < range.upperBound {
      let (scalar, length) = UTF8Scalars.scalar(in: bytes, at: position)
      forms.decompose(scalar, isCompatible: isCompatible) { part, isFirst in
        let value = unicode.combiningClass(of: part)
        if value == 0 { Self.order(&parts, from: &pending) }
        parts.append(Part(item: TextChange(scalar: part, change: isFirst ? 0 : 1), combiningClass: value))
      }
      position += length
    }
    Self.order(&parts, from: &pending)
    if composes {
      Self.compose(parts) { rewriter.put($0) }
    } else {
      for part in parts { rewriter.put(part.item) }
    }
  }

  /// Puts the parts from `pending` on in canonical order, after which none of them moves.
  private static func order(_ parts: inout [Part], from pending: inout Int) {
    if parts.count - pending > 1 {
      let sorted = parts[pending...].enumerated().sorted {
        ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
      }
      parts.replaceSubrange(pending..., with: sorted.map(\.element))
    }
    pending = parts.count
  }

  /// Canonical composition (Unicode Standard, section 3.11, D117).
  private static func compose(_ parts: [Part], _ put: (TextChange) -> Void) {
    let forms = UnicodeForms.shared
    var starter: TextChange?
    // Marks behind the starter that did not become part of it.
    var marks: [TextChange] = []
    var lastClass: UInt8?
    func flush() {
      if let starter { put(starter) }
      for mark in marks { put(mark) }
      marks.removeAll(keepingCapacity: true)
      lastClass = nil
    }
    for part in parts {
      guard let base = starter else {
        if part.combiningClass == 0 { starter = part.item } else { put(part.item) }
        continue
      }
      let isBlocked = lastClass.map { $0 >= part.combiningClass } ?? false
      if !isBlocked, let whole = forms.composition(base.scalar, part.item.scalar) {
        starter = TextChange(scalar: whole, change: base.change + part.item.change - 1)
      } else if part.combiningClass == 0 {
        flush()
        starter = part.item
      } else {
        marks.append(part.item)
        lastClass = part.combiningClass
      }
    }
    flush()
  }
}
