import JSON
import Testing
import Tokenization

/// Compares tokens with those of Hugging Face's `tokenizers` library.
@Suite struct ReferenceTests {
  /// `cases` are random characters; `mixed` are words of many scripts and texts that are meant to do harm.
  @Test(arguments: [("cases", 2500), ("mixed", 210)])
  func everyTextHasTheSameIdsAndPlaces(_ name: String, atLeast count: Int) throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let cases = try #require(Files.fixture()[name]?.elements).map(Case.init)
    #expect(cases.count >= count)
    let differences = cases.compactMap { $0.difference(from: tokenizer) }
    #expect(differences.prefix(5) == [])
  }

  @Test func everyCodePointHasTheSameIds() throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let expected = try #require(Files.fixture()["blocks"]).strings()
    #expect(expected.count == 0x110000 / 8192)
    for (block, hash) in expected.enumerated() {
      var value: UInt64 = 0xCBF2_9CE4_8422_2325
      for code in block * 8192..<(block + 1) * 8192 {
        guard let scalar = Unicode.Scalar(UInt32(code)) else { continue }
        let ids = tokenizer.encode("ab\(scalar)cd", maxLength: 512).ids.dropFirst().dropLast()
        for number in [UInt64(ids.count)] + ids.map({ UInt64($0) }) {
          value = (value ^ number) &* 0x100_0000_01B3
        }
      }
      let found = String(value, radix: 16)
      #expect(String(repeating: "0", count: 16 - found.count) + found == hash, "code points from \(block * 8192)")
    }
  }

  @Test func everyOptionIsHonoured() throws {
    let variants = try #require(Files.fixture()["variants"]?.elements)
    #expect(variants.count == 9)
    for variant in variants {
      let name = try #require(variant["name"]?.string)
      let file = try #require(variant["tokenizer"]?.string)
      let tokenizer = try Files.folder(["tokenizer.json": file]) { try Tokenizer(ModelFolder(path: $0)) }
      let cases = try #require(variant["cases"]?.elements).map(Case.init)
      #expect(cases.compactMap { $0.difference(from: tokenizer) }.prefix(3) == [], "\(name)")
    }
  }

  @Test func tokensCarryTheirTextAndPlace() throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let tokens = tokenizer.tokens("Café [MASK] embeddings 中!", addSpecialTokens: true)
    #expect(tokens.map(\.text) == ["[CLS]", "cafe", "[MASK]", "em", "##bed", "##ding", "##s", "中", "!", "[SEP]"])
    #expect(tokens.map(\.special) == [true] + Array(repeating: false, count: 8) + [true])
    #expect(tokens.map(\.start) == [nil, 0, 6, 13, 15, 18, 22, 24, 27, nil])
    #expect(tokens.map(\.stop) == [nil, 5, 12, 15, 18, 22, 23, 27, 28, nil])
    #expect(tokens.first?.id == 101 && tokens.last?.id == 102 && tokens[2].id == 103)
    #expect(tokenizer.vocabularySize == 30522)
  }
}
