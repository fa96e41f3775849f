import HTTP1
import Service
import Testing

@Suite struct PlaygroundTests {
  @Test func thePageAndItsPartsComeWithTheirTypes() throws {
    let harness = try Harness()
    for (path, type) in [
      ("/playground", "text/html; charset=utf-8"), ("/playground/playground.css", "text/css; charset=utf-8"),
      ("/playground/playground.js", "text/javascript; charset=utf-8"),
      ("/playground/contrastive.js", "text/javascript; charset=utf-8"),
    ] {
      let fields = try harness.send(.get, path).response.fields
      #expect(fields["content-type"] == type, "\(path)")
      #expect(fields["cache-control"] == "no-cache", "\(path)")
      #expect(fields["x-content-type-options"] == "nosniff", "\(path)")
      let policy = fields["content-security-policy"] ?? ""
      #expect(policy.hasPrefix("default-src 'self';"), "\(path)")
      #expect(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "\(path)")
    }
    #expect(try harness.send(.get, "/").text.contains("href=\"/playground\""))
  }

  /// Every address that the page and its scripts name is served by the service, and none is on another host.
  @Test func thePageNamesNothingThatIsMissing() throws {
    let harness = try Harness()
    var waiting = ["/playground"]
    var seen: Set<String> = []
    while let path = waiting.popLast() {
      guard seen.insert(path).inserted else { continue }
      let answer = try harness.send(.get, path)
      #expect(answer.status == 200, "\(path)")
      #expect(!answer.text.contains("http://") && !answer.text.contains("https://"), "\(path)")
      for quoted in answer.text.split(separator: "\"") where quoted.hasSuffix(".js") || quoted.hasSuffix(".css") {
        waiting.append(quoted.hasPrefix("./") ? "/playground/" + quoted.dropFirst(2) : String(quoted))
      }
    }
    #expect(seen.count >= 8)
  }

  @Test func otherFilesAreNotFound() throws {
    let harness = try Harness()
    for path in ["/playground/", "/playground/index.html", "/playground/none.js", "/playground/..%2Fassets.c"] {
      #expect(try harness.send(.get, path).status == 404, "\(path)")
    }
    #expect(try harness.send(.post, "/playground", "{}").status == 405)
  }
}
