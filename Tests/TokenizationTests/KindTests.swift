import Foundation
import JSON
import Testing
import Tokenization

/// Compares tokenizers of all usual kinds with what the `tokenizers` library makes of the same texts, by hashes that
/// scripts/tokenization/kinds.py wrote: of the ids and the places of every text of a list, and of blocks of a hundred
/// random texts.
@Suite struct KindTests {
  private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

  private static func kinds() throws -> JSONValue {
    try JSONDocument([UInt8](try Data(contentsOf: fixtures.appending(path: "kinds.json")))).root
  }

  private static func tokenizer(_ kind: JSONValue) throws -> Tokenizer {
    let charsmap = try String(contentsOf: fixtures.appending(path: "nmt_nfkc.txt"), encoding: .utf8)
    let file = try #require(kind["tokenizer"]?.string).replacing("@charsmap", with: charsmap)
    return try Files.folder(["tokenizer.json": file]) { try Tokenizer(ModelFolder(path: $0)) }
  }

  @Test func everyKindHasTheSameIdsAndPlaces() throws {
    let root = try Self.kinds()
    let texts = try #require(root["texts"]).strings()
    let random = try RandomTexts(try #require(root["pools"])).texts(1500)
    let kinds = try #require(root["kinds"]?.elements)
    #expect(kinds.count >= 50 && texts.count >= 70)
    for kind in kinds {
      let name = try #require(kind["name"]?.string)
      let tokenizer = try Self.tokenizer(kind)
      let expected = try #require(kind["texts"]).strings()
      #expect(expected.count == texts.count)
      for (text, hash) in zip(texts, expected) {
        #expect(Self.hash([text], tokenizer) == hash, "\(name): \(text.debugDescription)")
      }
      let blocks = try #require(kind["random"]).strings()
      #expect(blocks.count == 15)
      for (block, hash) in blocks.enumerated() {
        #expect(
          Self.hash(random[block * 100..<(block + 1) * 100], tokenizer) == hash, "\(name): random texts, block \(block)"
        )
      }
    }
  }

  @Test func idsWithoutPlacesAreTheSameAtEveryLength() throws {
    let root = try Self.kinds()
    let texts = try #require(root["texts"]).strings()
    for kind in try #require(root["kinds"]?.elements) {
      let name = try #require(kind["name"]?.string)
      let tokenizer = try Self.tokenizer(kind)
      let (before, after) = tokenizer.framing
      for text in texts {
        let ids = tokenizer.tokens(text, addSpecialTokens: false).map(\.id)
        for room in [0, 1, 7, ids.count / 2, ids.count, ids.count + 1] {
          let (found, truncated) = tokenizer.encode(text, maxLength: room + before.count + after.count)
          #expect(found == before + ids.prefix(room) + after, "\(name): \(text.debugDescription)")
          #expect(truncated == (ids.count > room))
        }
      }
    }
  }

  @Test func framesAndPairsAreTheSame() throws {
    let root = try Self.kinds()
    let pairs = try #require(root["pairs"]?.elements).map { try $0.strings() }
    let lengths = try #require(root["lengths"]?.elements).map { try #require($0.integer) }
    for kind in try #require(root["kinds"]?.elements) {
      let name = try #require(kind["name"]?.string)
      let tokenizer = try Self.tokenizer(kind)
      let framed = try #require(kind["framed"]?.elements).map { try #require($0.elements).map { $0.integer } }
      let single = tokenizer.encode(typed: "a", maxLength: 100)
      #expect(single.ids.map { Int($0) } == framed[0] && single.types.map { Int($0) } == framed[1], "\(name)")
      #expect(tokenizer.hasTypes == (name == "typed"))
      let expected = try #require(kind["pairs"]).strings()
      let special = tokenizer.encode(pair: ("", ""), maxLength: 100).ids.count
      var found: [String] = []
      for pair in pairs {
        for length in lengths {
          let (ids, types, _) = tokenizer.encode(pair: (pair[0], pair[1]), maxLength: max(length, special))
          let read = tokenizer.encode(
            tokenizer.ids(of: pair[0]), with: pair[1], maxLength: max(length, special))
          #expect(read.ids == ids && read.types == types, "\(name)")
          var hash = Hash()
          hash.add(ids.count)
          for number in ids + types { hash.add(Int(number)) }
          found.append(hash.text)
        }
      }
      #expect(found == expected, "\(name)")
    }
  }

  private static func hash(_ texts: some Sequence<String>, _ tokenizer: Tokenizer) -> String {
    var hash = Hash()
    for text in texts {
      let tokens = tokenizer.tokens(text, addSpecialTokens: false)
      hash.add(tokens.count)
      for token in tokens {
        hash.add(Int(token.id))
        hash.add(token.start ?? -1)
        hash.add(token.stop ?? -1)
      }
    }
    return hash.text
  }
}

/// FNV-1a over numbers.
private struct Hash {
  private var value: UInt64 = 0xCBF2_9CE4_8422_2325

  mutating func add(_ number: Int) { value = (value ^ UInt64(bitPattern: Int64(number))) &* 0x100_0000_01B3 }

  var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// The random texts that kinds.py draws.
private struct RandomTexts {
  private let pools: [[(low: Int, high: Int)]]
  private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  init(_ pools: JSONValue) throws {
    self.pools = try #require(pools.elements).map { pool in
      try #require(pool.elements).map { range in
        let ends = try #require(range.elements).compactMap(\.integer)
        try #require(ends.count == 2)
        return (ends[0], ends[1])
      }
    }
  }

  private mutating func next(_ bound: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state >> 33) % bound
  }

  private mutating func scalar(_ pool: [(low: Int, high: Int)]) -> Unicode.Scalar {
    let range = pool[next(pool.count)]
    return Unicode.Scalar(UInt32(range.low + next(range.high - range.low + 1))) ?? "?"
  }

  func texts(_ count: Int) -> [String] {
    var source = self
    return (0..<count).map { _ in
      let main = source.pools[source.next(source.pools.count)]
      let length = 1 + source.next(24)
      var text = String.UnicodeScalarView()
      for _ in 0..<length {
        // The reference draws the pool before the range.
        let isOther = source.next(4) == 0
        text.append(source.scalar(isOther ? source.pools[source.next(source.pools.count)] : main))
      }
      return String(text)
    }
  }
}
