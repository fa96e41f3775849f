import Testing

@Suite("Raw cases")
struct RawCaseTests {
  @Test("There are at least 60 cases, each with its own name")
  func census() {
    #expect(RawCase.all.count >= 60)
    #expect(Set(RawCase.all.map(\.name)).count == RawCase.all.count)
  }

  @Test("A case that arrives in one piece has its outcome", arguments: RawCase.all)
  func whole(_ example: RawCase) {
    let script = Script()
    script.feed(example.raw)
    expectOutcome(script, example, "whole")
  }

  @Test("A case that is split in two, at any place, has the same outcome", arguments: RawCase.all)
  func split(_ example: RawCase) {
    for place in 1..<max(2, example.raw.count) {
      let script = Script()
      script.feed(example.raw[..<place])
      script.feed(example.raw[place...])
      expectOutcome(script, example, "split at \(place)")
    }
  }

  @Test("A case that arrives byte by byte has the same outcome", arguments: RawCase.all)
  func bytes(_ example: RawCase) {
    let script = Script()
    for byte in example.raw { script.feed([byte]) }
    expectOutcome(script, example, "bytes")
  }

  @Test("The outcome of a prefix is the beginning of the whole outcome", arguments: RawCase.all)
  func prefix(_ example: RawCase) {
    for count in 0..<example.raw.count {
      let script = Script()
      script.feed(example.raw[..<count])
      #expect(example.requests.starts(with: script.requests), "prefix of \(count)")
      #expect(example.statuses.starts(with: script.statuses), "prefix of \(count)")
      // Once all requests of a case have reached the handler, no answer may be missing.
      if script.requests.count == example.requests.count, !example.requests.isEmpty, !example.closes {
        #expect(script.statuses == example.statuses, "prefix of \(count)")
      }
    }
  }

  @Test("A request is complete with its last byte and not before")
  func lastByte() {
    for example in RawCase.all where example.statuses == [200] && !example.closes {
      let script = Script()
      script.feed(example.raw.dropLast())
      #expect(script.requests.isEmpty, "\(example.name)")
      #expect(script.statuses.isEmpty, "\(example.name)")
      script.feed(example.raw.suffix(1))
      #expect(script.requests == example.requests, "\(example.name)")
    }
  }

  @Test("When the client ends its side early, no incomplete request is accepted")
  func truncated() {
    for example in RawCase.all where example.statuses == [200] && !example.closes {
      for count in 1..<example.raw.count {
        let script = Script()
        script.feed(example.raw[..<count])
        script.end()
        #expect(script.requests.isEmpty, "\(example.name), \(count) bytes")
        #expect(script.statuses.allSatisfy { $0 == 400 }, "\(example.name), \(count) bytes")
        #expect(script.isClosed, "\(example.name), \(count) bytes")
      }
    }
  }

  private func expectOutcome(_ script: Script, _ example: RawCase, _ mode: String) {
    #expect(script.requests == example.requests, "\(mode)")
    #expect(script.statuses == example.statuses, "\(mode)")
    #expect(script.hasFinished == example.closes, "\(mode)")
    #expect(!script.isClosed, "\(mode)")
  }
}
