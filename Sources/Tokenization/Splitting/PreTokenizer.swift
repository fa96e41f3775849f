import JSON

/// The section `pre_tokenizer` of tokenizer.json: stages that split a text into words one after another.
struct PreTokenizer: Sendable {
  enum Stage: Sendable {
    /// Words between white space; each punctuation character is a word of its own.
    case bert
    /// Words between white space, and the runs of other characters between them.
    case words
    case whiteSpace
    case punctuation(SplitBehavior)
    case digits(SplitBehavior)
    case delimiter(UInt32)
    case fixedLength(Int)
    case metaspace(Metaspace)
    case byteLevel(ByteLevel)
    case pattern(RegexProgram, SplitBehavior, isInverted: Bool)
  }

  var stages: [Stage] = []
  /// For each stage, which of ``Cut/spaces`` it splits at wherever there is a cut.
  private var splitSpaces: [Set<UInt32>] = []
  /// Whether no stage depends on what stands beyond a cut.
  private(set) var keepsCuts = true

  /// Whether a text may be cut where ``Cut`` says because some stage splits there in any case.
  ///
  /// - Parameter spaces: what the space of a cut may be after the normaliser.
  func splitsAtCuts(_ spaces: Set<UInt32>) -> Bool {
    var spaces = spaces
    for (stage, split) in zip(stages, splitSpaces) {
      if spaces.isSubset(of: split) { return true }
      switch stage {
      case .metaspace: spaces = [0x2581]
      case .byteLevel: return false
      default: break
      }
    }
    return false
  }

  /// Whether the words are spelled with ``ByteAlphabet`` in the last stage.
  var endsInBytes: Bool {
    if case .byteLevel? = stages.last { return true }
    return false
  }

  /// Whether a stage needs to know which piece comes from the start of the text.
  var needsPlaces: Bool {
    stages.contains { if case .metaspace(let stage) = $0 { stage.prepend == .first } else { false } }
  }
}

/// What becomes of the matches that a text is split at.
enum SplitBehavior: String, Sendable, CaseIterable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  init(_ field: JSONField) throws(FieldError) {
    let name = try field.string(oneOf: Self.allCases.map(\.rawValue))
    self = SplitBehavior(rawValue: name) ?? .isolated
  }
}

/// The stage `Metaspace`: spaces become another character, by which the text is split.
struct Metaspace: Sendable {
  enum Prepend: String, Sendable, CaseIterable { case always, first, never }

  var replacement: [UInt8]
  var scalar: UInt32
  /// Whether the character is put before a text that does not begin with it: always, only at the start of the whole
  /// text, or never.
  var prepend: Prepend
  var splits: Bool

  init(_ section: JSONField) throws(FieldError) {
    let field = try section.required("replacement")
    scalar = try field.scalar()
    replacement = []
    UTF8Scalars.append(scalar, to: &replacement)
    prepend = .always
    let scheme = section.optional("prepend_scheme")
    if let scheme {
      prepend = Prepend(rawValue: try scheme.string(oneOf: Prepend.allCases.map(\.rawValue))) ?? .always
    }
    if let old = section.optional("add_prefix_space"), try !old.bool() {
      if let scheme, prepend != .never { throw scheme.refused("contradicts add_prefix_space") }
      // Older files say `never` by this key alone.
      prepend = .never
    }
    splits = try section.optional("split")?.bool() ?? true
  }
}

/// The stage `ByteLevel`: words by the pattern of GPT-2, spelled with ``ByteAlphabet``.
struct ByteLevel: Sendable {
  /// Whether a space is put before a text that does not begin with one.
  var addsPrefixSpace: Bool
  /// Whether the text is split.
  var usesPattern: Bool

  static let pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  static let program = try? RegexProgram(pattern)

  init(_ section: JSONField) throws(FieldError) {
    addsPrefixSpace = try section.required("add_prefix_space").bool()
    usesPattern = try section.optional("use_regex")?.bool() ?? true
  }
}

extension JSONField {
  /// The scalar of a string of one.
  fileprivate func scalar() throws(FieldError) -> UInt32 {
    let text = try string().unicodeScalars
    guard let first = text.first, text.count == 1 else { throw refused("must be one character") }
    return first.value
  }
}

extension PreTokenizer {
  private static let types = [
    "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace", "Punctuation",
    "Sequence", "Split", "Whitespace", "WhitespaceSplit",
  ]

  /// The section `pre_tokenizer`, which may be missing.
  init(_ section: JSONField?) throws(FieldError) {
    if let section { try add(section, depth: 0) }
  }

  private mutating func add(_ section: JSONField, depth: Int) throws(FieldError) {
    // The spaces that it is known to split at, and whether it is known to split by what single characters are.
    var splits: Set<UInt32> = []
    var isLocal = true
    switch try section.required("type").string(oneOf: Self.types) {
    case "Sequence":
      guard depth < 8 else { throw section.refused("is a sequence nested more than 8 deep") }
      for stage in try section.required("pretokenizers").elements() { try add(stage, depth: depth + 1) }
    case "BertPreTokenizer":
      stages.append(.bert)
      splits = [0x20]
    case "Whitespace":
      stages.append(.words)
      splits = Cut.spaces
    case "WhitespaceSplit":
      stages.append(.whiteSpace)
      splits = [0x20]
    case "Punctuation":
      stages.append(.punctuation(try section.optional("behavior").map(SplitBehavior.init(_:)) ?? .isolated))
    case "Digits":
      let isEach = try section.required("individual_digits").bool()
      stages.append(.digits(isEach ? .isolated : .contiguous))
    case "CharDelimiterSplit":
      let delimiter = try section.required("delimiter").scalar()
      stages.append(.delimiter(delimiter))
      splits = [delimiter]
    case "FixedLength":
      stages.append(.fixedLength(try section.optional("length")?.integer(in: 1...1_000_000) ?? 5))
      isLocal = false
    case "Metaspace":
      let stage = try Metaspace(section)
      stages.append(.metaspace(stage))
      isLocal = stage.scalar == 0x2581
      if stage.splits && isLocal { splits = Cut.spaces }
    case "ByteLevel":
      let stage = try ByteLevel(section)
      stages.append(.byteLevel(stage))
      if stage.usesPattern { splits = Cut.spaces }
    default:
      let pattern = try PatternSection(section.required("pattern"))
      let behavior = try SplitBehavior(section.required("behavior"))
      let isInverted = try section.required("invert").bool()
      stages.append(.pattern(pattern.program, behavior, isInverted: isInverted))
      let takesAll = behavior == .isolated || behavior == .removed && isInverted
      let isKnown = takesAll && pattern.source.map(Self.knownPatterns.contains) == true
      if isKnown { splits = Cut.spaces }
      // A text that begins or ends with what is merged with a neighbour depends on that neighbour.
      isLocal = isKnown || pattern.keepsCuts && !pattern.matchesSpace
    }
    while splitSpaces.count < stages.count { splitSpaces.append(splits) }
    keepsCuts = keepsCuts && isLocal
    guard stages.count <= 64 else { throw section.refused("has more than 64 stages") }
  }

  /// Patterns that split before every space between two ASCII letters or digits, that do not depend on what stands
  /// beyond it, and whose matches leave nothing of a text out: those of GPT-2, of cl100k and o200k, and of the models
  /// that took them over.
  private static let knownPatterns: Set<String> = [
    ByteLevel.pattern,
    #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    #"(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
    #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
  ]
}
