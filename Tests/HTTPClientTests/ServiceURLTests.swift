import HTTPClient
import Testing

@Suite("Client: addresses")
struct ServiceURLTests {
  @Test(
    "An address is split into host, port and path prefix",
    arguments: [
      ("http://a", "a:80", ""), ("http://a:8080/", "a:8080", ""), ("http://a:1/x/y/", "a:1", "/x/y"),
      ("http://[::1]:9", "[::1]:9", ""), ("http://[::1]", "[::1]:80", ""),
      ("https://a", "a:443", ""), ("https://a:8443/x", "a:8443", "/x"),
    ])
  func parts(_ text: String, _ authority: String, _ prefix: String) throws {
    let url = try ServiceURL(text)
    #expect(url.authority == authority)
    #expect(url.prefix == prefix)
    #expect(url.isSecure == text.hasPrefix("https"))
    #expect(url.root.description == "\(url.isSecure ? "https" : "http")://\(authority)")
  }

  @Test(
    "An address that is neither an http nor an https URL is refused",
    arguments: [
      "", "a:80", "ftp://a", "https://", "HTTPS:a", "http://", "http://:80", "http://a:", "http://a:x",
      "http://a:70000", "http://a:-1",
      "http://a b", "http://a\r\nX: y", "http://u@a", "http://a/?q", "http://[::1", "http://[]",
    ])
  func refused(_ text: String) {
    #expect(throws: ClientError.self) { try ServiceURL(text) }
  }

  @Test("Characters with a meaning in a path are percent-encoded in a segment")
  func segments() {
    #expect("a-b_c.d~1".pathSegment == "a-b_c.d~1")
    #expect("a/b ü".pathSegment == "a%2Fb%20%C3%BC")
    #expect("..".pathSegment == "%2E%2E")
  }
}
