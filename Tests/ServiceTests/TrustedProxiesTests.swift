import HTTP1
import Service
import Testing

@Suite("Trusted proxies")
struct TrustedProxiesTests {
  /// Whose request it is that comes from `peer` with these fields.
  private func client(
    _ fields: [(String, String)], from peer: String = "10.0.0.1", trusting list: String = "10.0.0.0/8, 2001:db8::/32"
  ) throws -> String? {
    let proxies = try #require(TrustedProxies(list))
    let head = RequestHead(method: .get, target: "/", fields: HTTPFields(fields))
    return proxies.client(of: head, from: Peer(address: peer, port: 1))?.description
  }

  @Test("Without trusted proxies the client is whoever is connected")
  func none() throws {
    #expect(try client([("X-Forwarded-For", "1.2.3.4")], trusting: "") == "10.0.0.1")
    #expect(try client([("X-Forwarded-For", "1.2.3.4")], from: "192.0.2.1") == "192.0.2.1")
    #expect(try client([("X-Forwarded-For", "1.2.3.4")], from: "", trusting: "0.0.0.0/0") == nil)
    #expect(try client([]) == "10.0.0.1")
  }

  @Test(
    "The list is walked from the right to the first that is not a trusted proxy",
    arguments: [
      ("1.2.3.4", "1.2.3.4"), ("6.6.6.6, 1.2.3.4", "1.2.3.4"), ("6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
      ("1.2.3.4,10.9.9.9,\t2001:db8::5 ", "1.2.3.4"), ("10.3.3.3, 10.2.2.2", "10.3.3.3"), ("", "10.0.0.1"),
      ("1.2.3.4, ,, 10.9.9.9,", "1.2.3.4"), ("1.2.3.4:5678, 10.9.9.9:80", "1.2.3.4"), ("[2600::7]:443", "2600::7"),
      ("[2600::7]", "2600::7"), ("2600::7", "2600::7"), ("::ffff:1.2.3.4", "1.2.3.4"),
      ("1.2.3.4, ::ffff:10.1.1.1", "1.2.3.4"),
      // What is malformed ends the walk at whoever has passed it on.
      ("1.2.3.4, unknown, 10.9.9.9", "10.9.9.9"), ("1.2.3.4, unknown", "10.0.0.1"), ("garbage", "10.0.0.1"),
      ("1.2.3.4, 1.2.3.4.5", "10.0.0.1"), ("1.2.3.4:", "10.0.0.1"), ("[1.2.3.4]", "10.0.0.1"), ("[2600::7", "10.0.0.1"),
      ("2600::7]:80", "10.0.0.1"), ("[2600::7]x", "10.0.0.1"), ("\"1.2.3.4\"", "10.0.0.1"),
      ("1.2.3.4 5.6.7.8", "10.0.0.1"),
      ("[]", "10.0.0.1"), ("[]:1", "10.0.0.1"), (":1", "10.0.0.1"),
    ])
  func forwardedFor(_ list: String, _ expected: String) throws {
    #expect(try client([("X-Forwarded-For", list)]) == expected)
  }

  @Test("Several lines are one list")
  func lines() throws {
    #expect(try client([("X-Forwarded-For", "6.6.6.6, 1.2.3.4"), ("x-forwarded-for", "10.9.9.9")]) == "1.2.3.4")
    #expect(try client([("Forwarded", "for=6.6.6.6"), ("Forwarded", "for=1.2.3.4, for=10.9.9.9")]) == "1.2.3.4")
    // A quote that a client leaves open does not reach into the line that a proxy has added.
    #expect(try client([("Forwarded", "for=\"6.6.6.6"), ("Forwarded", "for=1.2.3.4")]) == "1.2.3.4")
  }

  @Test(
    "Forwarded is read as RFC 7239 writes it",
    arguments: [
      ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"), ("For=\"[2600:cafe::17]:4711\"", "2600:cafe::17"),
      ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"), ("for=192.0.2.43,for=10.1.1.1", "192.0.2.43"),
      ("proto=https ; FOR = \"192.0.2.43:47011\"", "192.0.2.43"), ("for=\"192.0.2.43:_port\"", "192.0.2.43"),
      ("for=\"\\1\\9\\2.0.2.43\"", "192.0.2.43"), ("for=192.0.2.43;secret=\"a,b;for=6.6.6.6\"", "192.0.2.43"),
      ("for=6.6.6.6, for=192.0.2.43;by=\"a\\\",b\"", "192.0.2.43"),
      ("for=192.0.2.43, for=unknown", "10.0.0.1"), ("for=192.0.2.43, for=_hidden, for=10.1.1.1", "10.1.1.1"),
      ("for=192.0.2.43, proto=http", "10.0.0.1"), ("for=192.0.2.43;for=6.6.6.6", "10.0.0.1"), ("for=", "10.0.0.1"),
      ("for", "10.0.0.1"), ("192.0.2.43", "10.0.0.1"), ("for=192.0.2.43, for=\"10.1.1.1", "10.0.0.1"), ("", "10.0.0.1"),
      ("for=\"", "10.0.0.1"), (";;for=192.0.2.43;", "192.0.2.43"), (",,for=192.0.2.43,,", "192.0.2.43"),
    ])
  func forwarded(_ value: String, _ expected: String) throws {
    #expect(try client([("Forwarded", value)]) == expected)
  }

  @Test("Where both fields are there and disagree, neither counts")
  func both() throws {
    let list = ("X-Forwarded-For", "1.2.3.4")
    #expect(try client([list, ("Forwarded", "for=1.2.3.4")]) == "1.2.3.4")
    #expect(try client([list, ("Forwarded", "for=6.6.6.6")]) == "10.0.0.1")
    #expect(try client([list, ("Forwarded", "nonsense")]) == "10.0.0.1")
  }

  @Test("A link-local peer is known without its zone")
  func zone() throws {
    #expect(try client([], from: "fe80::1%eth0") == "fe80::1")
    #expect(try client([("X-Forwarded-For", "1.2.3.4")], from: "fe80::1%eth0", trusting: "fe80::/10") == "1.2.3.4")
  }

  @Test(
    "What is not a list of networks is refused",
    arguments: ["host", "10.0.0.1/8", "10.0.0.0/8;::1", "10.0.0.0/33", "*"])
  func refused(_ list: String) {
    #expect(TrustedProxies(list) == nil)
  }
}
