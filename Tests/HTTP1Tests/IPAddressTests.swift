import HTTP1
import Platform
import Testing

@Suite("IP address")
struct IPAddressTests {
  /// What the C library makes of the text: the address in its usual form, or nil.
  private func reference(_ text: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: 16)
    var name = [CChar](repeating: 0, count: 64)
    for family in [AF_INET, AF_INET6] where inet_pton(family, text, &bytes) == 1 {
      guard inet_ntop(family, bytes, &name, socklen_t(name.count)) != nil else { return nil }
      return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    return nil
  }

  @Test(
    "Texts are read and written as the C library does",
    arguments: [
      "0.0.0.0", "127.0.0.1", "255.255.255.255", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1..2.3",
      "1.2.3.4 ",
      " 1.2.3.4", "+1.2.3.4", "1.2.3.-4", "", ".", ":", "::", ":::", "::1", "1::", "::1::", "1::2::3",
      "1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1:2:3:4::5:6:7:8",
      "1:2:3:4:5:6:7:8:", ":1::2",
      "2001:DB8::A", "2001:db8:0:0:1:0:0:1", "1:0:0:2:0:0:0:3", "12345::", "g::", "fe80::1%lo", "[::1]", "::1.2.3.4",
      "::1.2.3.4:5", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "64:ff9b::192.0.2.33", "::ffff:1.2.3.256",
      "1:0:3:4:5:6:7:8",
      "0:0:0:0:0:0:0:0", "1:2:3:4:5:6:0:0", "::ffff:1.2.3.04",
    ])
  func asTheLibrary(_ text: String) {
    // The library writes these with an IPv4 address at the end, RFC 5952 asks for that only where it is known to be one.
    let expected = text == "::1.2.3.4" ? "::102:304" : reference(text)
    #expect(IPAddress(text)?.description == expected)
  }

  @Test("An IPv4 address is the same as the IPv6 address that it is mapped to")
  func mapped() {
    #expect(IPAddress("::ffff:192.0.2.1") == IPAddress("192.0.2.1"))
    #expect(IPAddress("::FFFF:c000:201")?.description == "192.0.2.1")
    #expect(IPAddress("::ffff:192.0.2.1")?.isIPv4 == true)
    #expect(IPAddress("64:ff9b::192.0.2.1")?.isIPv4 == false)
  }

  @Test("IPv6 addresses of one network of 64 bits are one subscriber")
  func subscriber() throws {
    let first = try #require(IPAddress("2001:db8:1:2:3:4:5:6"))
    #expect(first.subscriber == IPAddress("2001:db8:1:2::ffff")?.subscriber)
    #expect(first.subscriber != IPAddress("2001:db8:1:3::")?.subscriber)
    #expect(IPAddress("10.0.0.1")?.subscriber != IPAddress("10.0.0.2")?.subscriber)
  }

  @Test(
    "A network has the addresses that begin as it does",
    arguments: [
      ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.0.0.0/8", "9.255.255.255", false),
      ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3/32", "10.1.2.2", false), ("0.0.0.0/0", "255.1.2.3", true),
      ("0.0.0.0/0", "::1", false), ("::/0", "2001:db8::1", true), ("::/0", "10.0.0.1", false),
      ("10.0.0.0/31", "10.0.0.1", true), ("10.0.0.0/31", "10.0.0.2", false), ("10.0.0.0/8", "::ffff:10.9.8.7", true),
      ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
      ("2001:db8:0:1::/64", "2001:db8:0:1:ffff::", true), ("2001:db8:0:1::/64", "2001:db8:0:2::", false),
      ("2001:db8::/65", "2001:db8:0:0:7fff::", true), ("2001:db8::/65", "2001:db8:0:0:8000::", false),
      ("::1", "::1", true), ("::1/128", "::2", false), ("fe80::/10", "febf::1", true), ("fe80::/10", "fec0::1", false),
    ])
  func network(_ network: String, _ address: String, _ isIn: Bool) throws {
    let network = try #require(IPNetwork(network))
    #expect(network.contains(try #require(IPAddress(address))) == isIn)
  }

  @Test(
    "What is not a network is refused",
    arguments: [
      "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0.1/8", "10.0/8",
      "::/129",
      "2001:db8::1/32", "host", "10.0.0.0/255.0.0.0", "10.0.0.0 /8", "::ffff:0:0/90", "10.0.0.0/99999999999999999999",
    ])
  func refused(_ text: String) {
    #expect(IPNetwork(text) == nil)
  }
}
