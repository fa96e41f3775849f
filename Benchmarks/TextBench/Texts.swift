import Platform
import Tokenization

/// Texts of two kinds, and how fast they become token ids.
enum Texts {
  static func measurements(_ tokenizer: Tokenizer) throws -> [Measurement] {
    [
      measurement("tokens, ASCII English", asked: 1, try glosses(20_000), tokenizer),
      measurement("tokens, mixed scripts", asked: 0.3, mixed(2_000), tokenizer),
    ]
  }

  private static func measurement(
    _ name: String, asked: Double, _ texts: [String], _ tokenizer: Tokenizer
  ) -> Measurement {
    Measurement(name: name, unit: "M/s", asked: asked) {
      var tokens = 0
      // The two special tokens are not counted.
      for text in texts { tokens += tokenizer.encode(text, maxLength: 256).ids.count - 2 }
      return tokens
    }
  }

  /// Definitions of nouns in WordNet: English in ASCII, 15 tokens on average, evenly drawn from all.
  private static func glosses(_ count: Int) throws -> [String] {
    let path = "/usr/share/wordnet/data.noun"
    guard let bytes = try? WholeFile.read(path) else {
      throw Usage(description: "\(path) cannot be read: install the package wordnet-base")
    }
    // The licence at the top is indented by two spaces. A record ends with " | " and the definition.
    let records = bytes.split(separator: 0x0A).filter { !$0.starts(with: "  ".utf8) }
    let texts = records.compactMap { record -> String? in
      guard let bar = record.lastIndex(of: 0x7C), record.allSatisfy({ $0 < 0x80 }) else { return nil }
      return String(decoding: record[(bar + 1)...], as: UTF8.self)
    }
    let step = max(1, texts.count / count)
    return stride(from: 0, to: texts.count, by: step).prefix(count).map { texts[$0] }
  }

  /// Texts of five to twenty words, each drawn from ``words`` in an order that is always the same.
  private static func mixed(_ count: Int) -> [String] {
    var numbers = Numbers()
    return (0..<count).map { _ in
      (0..<5 + numbers.next(below: 16)).map { _ in words[numbers.next(below: words.count)] }.joined(separator: " ")
    }
  }

  /// The first article of the Universal Declaration of Human Rights in many languages, and emoji. What is written
  /// without spaces stays together up to the next punctuation mark.
  private static let words = """
    すべての人間は、 生まれながらにして 自由であり、 かつ、尊厳と権利とについて平等である。 人間は、理性と良心とを授けられており、
    互いに 同胞の精神を もって行動しなければならない。 カタカナとひらがな、 ガギグゲゴ
    人人生而自由, 在尊严和权利上一律平等。 他们赋有理性和良心, 并应以兄弟关系的精神 互相对待。 人皆生而自由; 在尊嚴及權利上均各平等。
    모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
    Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью
    يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء.
    Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison
    Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím
    Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.
    Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón
    Alle Menschen sind frei und gleich an Würde und Rechten geboren. Straße ÄÖÜ İstanbul
    Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.
    כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. सभी मनुष्यों को गौरव और अधिकारों के मामले में
    มนุษย์ทั้งหลายเกิดมามีอิสระ All human beings are born free and equal in dignity and rights.
    😀 😂🎉 👍🏽 👩‍👩‍👧 🇯🇵 ❤️ 🚀🚀🚀 “quoted” — dash… ½ №5 €100 ﬁne ＡＢＣ
    """.split { $0 == " " || $0 == "\n" }.map(String.init)
}

/// Numbers that look random and are always the same (xorshift, Marsaglia 2003).
struct Numbers {
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  mutating func next(below bound: Int) -> Int { Int(next() >> 33) % bound }
}
