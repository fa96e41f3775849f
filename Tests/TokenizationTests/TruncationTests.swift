import Testing
import Tokenization

@Suite struct TruncationTests {
  @Test func specialTokensAreKept() throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let text = String(repeating: "nearest neighbours ", count: 300)
    let all = tokenizer.encode(text, maxLength: 10_000)
    #expect(all.ids.count > 600 && !all.truncated)
    for length in [2, 3, 17, 256] {
      let cut = tokenizer.encode(text, maxLength: length)
      #expect(cut.truncated)
      #expect(cut.ids == Array(all.ids.prefix(length - 1)) + [102])
    }
  }

  @Test func truncationIsExactAtTheLimit() throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let text = String(repeating: "a ", count: 254)
    #expect(tokenizer.encode(text, maxLength: 256).truncated == false)
    #expect(tokenizer.encode(text + "   \u{0} \u{301}", maxLength: 256).truncated == false)
    #expect(tokenizer.encode(text + "a", maxLength: 256).truncated == true)
    #expect(tokenizer.encode(text + "[PAD]", maxLength: 256).truncated == true)
  }

  @Test func lengthsBelowTheTemplateDoNotTrap() throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    #expect(tokenizer.encode("", maxLength: 256).ids == [101, 102])
    #expect(tokenizer.encode("a", maxLength: 2).ids == [101, 102])
    #expect(tokenizer.encode("a", maxLength: 1).ids == [101])
    for length in [0, -1, Int.min] {
      let (ids, truncated) = tokenizer.encode("a", maxLength: length)
      #expect(ids == [] && truncated)
    }
    #expect(tokenizer.encode("a", maxLength: .max).ids == [101, 1037, 102])
  }

  @Test func aLongTextCostsNoMoreThanItsBeginning() throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let short = String(repeating: "the quick brown fox ", count: 100)
    let long = String(repeating: "the quick brown fox ", count: 50_000)
    var ids: [Int32] = []
    let clock = ContinuousClock()
    let shortTime = clock.measure { for _ in 0..<20 { ids = tokenizer.encode(short, maxLength: 256).ids } }
    let longTime = clock.measure { for _ in 0..<20 { ids = tokenizer.encode(long, maxLength: 256).ids } }
    #expect(ids.count == 256)
    // Reading the whole text would take 500 times as long.
    #expect(longTime < shortTime * 20 + .milliseconds(5))
  }

  @Test(arguments: ["a", " ", "\u{301}", "\u{302e}\u{1d165}", "\u{1d15e}", "\u{200b}", "각", "é", "[CLS", "##"])
  func aMillionOfAnythingIsLinear(_ unit: String) throws {
    let tokenizer = try Tokenizer(ModelFolder(path: Files.model()))
    let text = "x" + String(repeating: unit, count: 1_000_000 / unit.unicodeScalars.count)
    let time = ContinuousClock().measure {
      #expect(tokenizer.encode(text, maxLength: 256).ids.count <= 256)
      #expect(tokenizer.tokens(text, addSpecialTokens: false).isEmpty == false)
    }
    #expect(time < .seconds(5))
  }
}
